variable "zone" {
  description = "The domain; it must be in Linode's DNS already (it outlives any platform)."
  type        = string
}

variable "names" {
  description = "Names in the zone that lead to the ingress."
  type        = list(string)
}

variable "ipv4" {
  description = "Of the ingress."
  type        = string
}

variable "ipv6" {
  description = "Of the ingress."
  type        = string
}

variable "certificate_authority" {
  description = "Whose certificates these names may have."
  type        = string
  default     = "letsencrypt.org"
}
