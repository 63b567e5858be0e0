variable "name" {
  description = "The database's label."
  type        = string
}

variable "region" {
  description = "Linode region."
  type        = string
}

variable "postgresql_version" {
  description = "Major version; 15 or later is tested."
  type        = string
}

variable "type" {
  description = "Linode plan of each node."
  type        = string
}

variable "nodes" {
  description = "1, or 3 of which one may be lost."
  type        = number
}

variable "private" {
  description = "Reached by the VPC alone."
  type        = bool
}

variable "vpc_id" {
  description = "Of the VPC, or null."
  type        = number
}

variable "subnet_id" {
  description = "Of the nodes' subnet, or null."
  type        = number
}

variable "allow_list" {
  description = "Who is let in without a VPC."
  type        = list(string)
}

variable "restore_from" {
  description = "The id of the database that this one is restored from, or null."
  type        = number
  default     = null
}

variable "restore_to_time" {
  description = "To which moment (RFC 3339), or null for the newest."
  type        = string
  default     = null
}
