# One environment, whole: what the directories in environments/ call, each with its own values.
terraform {
  required_version = ">= 1.11, < 2.0"

  required_providers {
    linode = {
      source  = "linode/linode"
      version = "4.5.0"
    }
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

locals {
  name = "ias-${var.environment}"
  tags = ["ias", var.environment]

  # What each is for: README.md, "Passwords drawn anew".
  drawn = ["cache-salt", "grafana", "jwt", "postgresql-api", "postgresql-owner", "postgresql-worker", "rabbitmq", "redis", "redis-gateway", "redis-monolith", "webhook"]
}

module "network" {
  source = "../modules/network"

  name               = local.name
  region             = var.region
  private            = var.private
  subnet_ipv4        = var.subnet_ipv4
  ingress_allow_ipv4 = var.ingress_allow_ipv4
  ingress_allow_ipv6 = var.ingress_allow_ipv6
  tags               = local.tags
}

module "cluster" {
  source = "../modules/cluster"

  name              = local.name
  region            = var.region
  k8s_version       = var.k8s_version
  private           = var.private
  vpc_id            = module.network.vpc_id
  subnet_id         = module.network.subnet_id
  firewall_id       = module.network.nodes_firewall_id
  high_availability = var.high_availability
  api_allow_ipv4    = var.api_allow_ipv4
  api_allow_ipv6    = var.api_allow_ipv6
  cpu               = var.cpu
  gpu               = var.gpu
  tags              = local.tags
}

# Restored ones stand beside the first: to change what one began as is to destroy it.
module "database" {
  source   = "../modules/database"
  for_each = var.database.instances

  name               = each.key == "first" ? local.name : "${local.name}-${each.key}"
  region             = var.region
  postgresql_version = var.database.version
  type               = var.database.type
  nodes              = var.database.nodes
  private            = var.private
  vpc_id             = module.network.vpc_id
  subnet_id          = module.network.subnet_id
  allow_list         = module.cluster.node_addresses
  restore_from       = each.value.from
  restore_to_time    = each.value.to_time
}

module "storage" {
  source = "../modules/storage"

  prefix            = "${var.organization}-${local.name}"
  region            = var.storage_region
  keep_logs_days    = var.keep.logs_days
  keep_traces_days  = var.keep.traces_days
  keep_backups_days = var.keep.backups_days
}

module "dns" {
  source = "../modules/dns"

  zone  = var.zone
  names = var.names
  ipv4  = module.network.ingress.ipv4
  ipv6  = module.network.ingress.ipv6
}

module "secrets" {
  source = "../modules/secrets"

  mount       = var.secrets.mount
  environment = var.environment
  draws       = { for name in local.drawn : name => lookup(var.secrets.draws, name, 1) }
  database    = module.database[var.database.use].login
  buckets     = toset(keys(module.storage.buckets))
  keys        = module.storage.keys
}
