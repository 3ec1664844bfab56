# Written anew for each run from the task's configuration: changes made here are lost.
#
# Task: edge-fw
# Description:

variable "ports" {
  type = any
}

variable "rules" {
  type      = any
  sensitive = true
}

variable "text" {
  type = any
}

variable "zone" {
  type  = any
  const = true
}
