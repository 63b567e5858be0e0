variable "mount" {
  description = "The secret store's key-value mount (version 2)."
  type        = string
}

variable "environment" {
  description = "dev, staging or production."
  type        = string
}

variable "rotation" {
  description = "Add one to draw and write everything anew: passwords of PostgreSQL's logins, Redis and RabbitMQ, what signs sessions, what salts prefix caches. Then restart what uses them (README.md)."
  type        = number
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
