output "paths" {
  description = "Where in the secret store they lie."
  value = concat(
    [for secret in vault_kv_secret_v2.this : secret.name],
    [for bucket in vault_kv_secret_v2.bucket : bucket.name],
  )
}
