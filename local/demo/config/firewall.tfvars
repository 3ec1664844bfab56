zone = "dmz"
