# Managed PostgreSQL. It has no TimescaleDB that could be counted on: usage goes into native monthly partitions.
terraform {
  required_version = ">= 1.11, < 2.0"

  required_providers {
    linode = {
      source  = "linode/linode"
      version = "4.5.0"
    }
  }
}

resource "linode_database_postgresql_v2" "this" {
  label        = var.name
  region       = var.region
  engine_id    = "postgresql/${var.postgresql_version}"
  type         = var.type
  cluster_size = var.nodes

  # Only what stands here is let in; an empty list lets in nobody.
  allow_list = var.private ? [] : var.allow_list

  private_network = var.private ? {
    vpc_id        = var.vpc_id
    subnet_id     = var.subnet_id
    public_access = false
  } : null

  # Another value here is another database, and the end of this one: a restore is one beside it (platform/main.tf).
  fork_source       = var.restore_from
  fork_restore_time = var.restore_to_time

  updates = {
    frequency   = "weekly"
    day_of_week = 7
    hour_of_day = 3
    duration    = 4
  }

  # Every statement is short; what is left open by a process that hangs must not hold back vacuum for hours.
  engine_config_pg_idle_in_transaction_session_timeout = 60000
  engine_config_pg_timezone                            = "Etc/UTC"
  engine_config_pg_password_encryption                 = "scram-sha-256"

  # Never remove this here: it is every database's. README.md says how one is given up.
  lifecycle {
    prevent_destroy = true
  }
}
