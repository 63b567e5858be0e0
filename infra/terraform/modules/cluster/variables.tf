variable "name" {
  description = "The cluster's label."
  type        = string
}

variable "region" {
  description = "Linode region."
  type        = string
}

variable "k8s_version" {
  description = "major.minor; an upgrade is a change of this, one minor version at a time."
  type        = string
}

variable "private" {
  description = "LKE Enterprise in a VPC, instead of a standard cluster."
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

variable "firewall_id" {
  description = "In front of every node."
  type        = number
}

variable "high_availability" {
  description = "A control plane of several replicas; cannot be taken back."
  type        = bool
}

variable "api_allow_ipv4" {
  description = "Who may reach the Kubernetes API."
  type        = list(string)
}

variable "api_allow_ipv6" {
  description = "The same in IPv6."
  type        = list(string)
}

variable "cpu" {
  description = "The pool of everything but models."
  type        = object({ type = string, min = number, max = number })
}

variable "gpu" {
  description = "Pools with GPUs by name; models choose one by the label ias/gpu."
  type = map(object({
    type   = string
    min    = number
    max    = number
    labels = optional(map(string), {})
  }))
}

variable "tags" {
  description = "Tags of the cluster."
  type        = list(string)
}
