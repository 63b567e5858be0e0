# What each process and service is told in confidence, written into the secret store, from where External Secrets
# brings it into the cluster. What is drawn here is ephemeral and written by write-only arguments: neither state nor plan
# has it. The database's and the buckets' own are made by Linode, and so in the state; that is why its bucket has a key of
# its own.
terraform {
  required_version = ">= 1.11, < 2.0" # write-only arguments

  required_providers {
    vault = {
      source  = "hashicorp/vault"
      version = "5.6.0"
    }
    random = {
      source  = "hashicorp/random"
      version = "3.7.2"
    }
  }
}

ephemeral "random_password" "this" {
  for_each = var.draws

  length  = 48
  special = false # they are put into URLs
}

# Each by itself and once, until its number is raised: every run draws, but what lies there is left alone.
resource "vault_kv_secret_v2" "drawn" {
  for_each = var.draws

  mount = var.mount
  name  = "ias/${var.environment}/drawn/${each.key}"

  data_json_wo         = jsonencode({ value = ephemeral.random_password.this[each.key].result })
  data_json_wo_version = each.value
}

# Read back, so that all who are told of one are told the same, also by a later run, after one that failed half-way.
ephemeral "vault_kv_secret_v2" "drawn" {
  for_each = var.draws

  mount    = var.mount
  mount_id = vault_kv_secret_v2.drawn[each.key].id # not before it is written
  name     = vault_kv_secret_v2.drawn[each.key].name
}

locals {
  drawn = { for name, secret in ephemeral.vault_kv_secret_v2.drawn : name => tostring(secret.data.value) }

  # A login for each kind of process, made by infra/argocd/platform/files/roles.sql with the one that Linode gives.
  postgresql = { for of in ["api", "owner", "worker"] : of =>
    "postgresql://ias_${of}:${local.drawn["postgresql-${of}"]}@${var.database.host}:${var.database.port}/ias?sslmode=require"
  }
  redis    = "redis.data.svc:26379/ias"
  gateway  = "redis+sentinel://gateway:${local.drawn["redis-gateway"]}@${local.redis}"
  monolith = "redis+sentinel://monolith:${local.drawn["redis-monolith"]}@${local.redis}"
  rabbitmq = "ias:${local.drawn["rabbitmq"]}@rabbitmq.data.svc"

  # By path below ias/<environment>: what charts/ias asks for, by the variables' names, and what the services are given.
  secrets = {
    gateway = {
      IAS_REDIS_URL         = local.gateway
      IAS_CACHE_SALT_SECRET = local.drawn["cache-salt"]
    }
    api = {
      IAS_DATABASE_URL          = local.postgresql["api"]
      IAS_REDIS_URL             = local.monolith
      IAS_JWT_SECRET            = local.drawn["jwt"]
      IAS_GITOPS_WEBHOOK_SECRET = local.drawn["webhook"]
    }
    worker = {
      IAS_DATABASE_URL        = local.postgresql["worker"]
      IAS_REDIS_URL           = local.monolith
      IAS_JWT_SECRET          = local.drawn["jwt"]
      IAS_AMQP_URL            = "amqp://${local.rabbitmq}:5672/"
      IAS_AMQP_MANAGEMENT_URL = "http://${local.rabbitmq}:15672"
    }
    migrations = {
      IAS_DATABASE_URL           = local.postgresql["api"]
      IAS_MIGRATION_DATABASE_URL = local.postgresql["owner"]
      IAS_REDIS_URL              = local.monolith
      IAS_JWT_SECRET             = local.drawn["jwt"]
    }
    redis = {
      default  = local.drawn["redis"]
      gateway  = local.drawn["redis-gateway"]
      monolith = local.drawn["redis-monolith"]
    }
    rabbitmq = { username = "ias", password = local.drawn["rabbitmq"] }
    grafana  = { username = "admin", password = local.drawn["grafana"] }
    # What psql reads by itself, and the passwords of the logins that it makes.
    postgresql = {
      PGHOST     = var.database.host
      PGPORT     = tostring(var.database.port)
      PGUSER     = var.database.username
      PGPASSWORD = var.database.password
      api        = local.drawn["postgresql-api"]
      owner      = local.drawn["postgresql-owner"]
      worker     = local.drawn["postgresql-worker"]
    }
  }
}

# Written again when something was drawn anew, or the database is another one.
resource "vault_kv_secret_v2" "this" {
  for_each = toset(["api", "gateway", "grafana", "migrations", "postgresql", "rabbitmq", "redis", "worker"])

  mount = var.mount
  name  = "ias/${var.environment}/${each.key}"

  data_json_wo         = jsonencode(local.secrets[each.key])
  data_json_wo_version = parseint(substr(sha256(jsonencode([var.draws, var.database])), 0, 8), 16)
}

resource "vault_kv_secret_v2" "bucket" {
  for_each = var.buckets

  mount = var.mount
  name  = "ias/${var.environment}/buckets/${each.key}"

  data_json_wo         = jsonencode(var.keys[each.key])
  data_json_wo_version = parseint(substr(sha256(jsonencode(var.keys[each.key])), 0, 8), 16)
}
