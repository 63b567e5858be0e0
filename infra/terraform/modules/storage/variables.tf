variable "prefix" {
  description = "Begins the buckets' names."
  type        = string
}

variable "region" {
  description = "Object storage region."
  type        = string
}

variable "keep_logs_days" {
  description = "As Loki's retention_period."
  type        = number
}

variable "keep_traces_days" {
  description = "As Tempo's block_retention."
  type        = number
}

variable "keep_backups_days" {
  description = "How long a backup outlives the one that replaced it."
  type        = number
}
