output "id" {
  description = "Of the database."
  value       = linode_database_postgresql_v2.this.id
}

output "host" {
  description = "Of the primary."
  value       = linode_database_postgresql_v2.this.host_primary
}

output "port" {
  description = "Where it listens there; not PostgreSQL's usual one."
  value       = linode_database_postgresql_v2.this.port
}

# For the secret store alone (modules/secrets); the environments have no output of it.
output "login" {
  description = "Where and as whom to connect."
  sensitive   = true
  value = {
    host     = linode_database_postgresql_v2.this.host_primary
    port     = linode_database_postgresql_v2.this.port
    username = linode_database_postgresql_v2.this.root_username
    password = linode_database_postgresql_v2.this.root_password
  }
}
