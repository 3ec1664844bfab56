# Written anew for each run from the task's configuration: changes made here are lost.
#
# Task: files
# Description:

content = "say \"hi\" $${x}"
