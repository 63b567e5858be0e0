output "buckets" {
  description = "Name of each."
  value       = { for name, bucket in linode_object_storage_bucket.this : name => bucket.label }
}

# For the secret store alone (modules/secrets); the environments have no output of it.
output "keys" {
  description = "What opens each."
  sensitive   = true
  value = {
    for name, key in linode_object_storage_key.this : name => {
      bucket     = linode_object_storage_bucket.this[name].label
      endpoint   = one(key.regions_details).s3_endpoint
      access_key = key.access_key
      secret_key = key.secret_key
    }
  }
}
