output "names" {
  description = "Whole names that lead to the ingress."
  value       = [for name in var.names : name == "@" ? var.zone : "${name}.${var.zone}"]
}
