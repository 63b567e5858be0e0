variable "mount" {
  description = "The secret store's key-value mount (version 2)."
  type        = string
}

variable "environment" {
  description = "dev, staging or production."
  type        = string
}

variable "draws" {
  description = "What is drawn, and how often it has been."
  type        = map(number)
}

variable "database" {
  description = "Where and as whom to connect."
  type        = object({ host = string, port = number, username = string, password = string })
  sensitive   = true
}

variable "buckets" {
  description = "Which buckets there are."
  type        = set(string)
}

variable "keys" {
  description = "What opens each."
  type        = map(object({ bucket = string, endpoint = string, access_key = string, secret_key = string }))
  sensitive   = true
}
