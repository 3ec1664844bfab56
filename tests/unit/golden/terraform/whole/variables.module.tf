# Written anew for each run from the task's configuration: changes made here are lost.
#
# Task: edge-fw
# Description: edge rules } of two lines

variable "empty" {
  type = any
}

variable "limits" {
  type = any
}

variable "ports" {
  type = any
}

variable "rules" {
  type = any
}

variable "zone" {
  type = any
}
