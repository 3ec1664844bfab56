"""One file per function: load, ask the pure part, write. Ports are declared where they are used."""
