output "platform" {
  description = "What the next steps ask for; no secret is among them."
  value       = module.platform
}
