# Written anew for each run from the task's configuration: changes made here are lost.
#
# Task: web
# Description:

aws = {
  "region" = "eu-west-1"
}
