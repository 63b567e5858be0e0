variable "name" {
  description = "Begins every label, e.g. ias-production."
  type        = string
}

variable "region" {
  description = "Linode region."
  type        = string
}

variable "private" {
  description = "Whether nodes and database share a VPC."
  type        = bool
}

variable "subnet_ipv4" {
  description = "The nodes' subnet in that VPC."
  type        = string
}

variable "ingress_allow_ipv4" {
  description = "Who may reach the platform; the world, or an office's and its clients' networks."
  type        = list(string)
}

variable "ingress_allow_ipv6" {
  description = "The same in IPv6."
  type        = list(string)
}

variable "tags" {
  description = "Tags of everything that has some."
  type        = list(string)
}
