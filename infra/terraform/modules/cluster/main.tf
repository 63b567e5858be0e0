# An LKE cluster: one pool for everything that runs on CPUs, and a pool for each kind of GPU.
terraform {
  required_version = ">= 1.11, < 2.0"

  required_providers {
    linode = {
      source  = "linode/linode"
      version = "4.5.0"
    }
  }
}

locals {
  # Pools with this tag are resources of their own: one can be changed or removed without touching its neighbours.
  beside = "${var.name}-pool"

  node_ids = [for node in linode_lke_cluster.this.pool[0].nodes : node.instance_id]
}

resource "linode_lke_cluster" "this" {
  label              = var.name
  region             = var.region
  k8s_version        = var.k8s_version
  tags               = var.tags
  external_pool_tags = [local.beside]

  tier      = var.private ? "enterprise" : "standard"
  vpc_id    = var.vpc_id
  subnet_id = var.subnet_id

  control_plane {
    high_availability  = var.high_availability
    audit_logs_enabled = true

    # Without addresses nobody is allowed: the default is to deny.
    acl {
      enabled = true
      addresses {
        ipv4 = var.api_allow_ipv4
        ipv6 = var.api_allow_ipv6
      }
    }
  }

  pool {
    type        = var.cpu.type
    label       = "cpu"
    labels      = { "ias/pool" = "cpu" }
    firewall_id = var.private ? var.firewall_id : null

    autoscaler {
      min = var.cpu.min
      max = var.cpu.max
    }
  }

  lifecycle {
    prevent_destroy = true

    # The autoscaler says how many there are.
    ignore_changes = [pool[0].count]

    precondition {
      condition     = var.private || var.cpu.min == var.cpu.max
      error_message = "The database of a standard cluster lets in the nodes that there were at the last apply: let its CPU pool not scale (min = max), or set private."
    }
  }
}

resource "linode_lke_node_pool" "gpu" {
  for_each = var.gpu

  cluster_id  = linode_lke_cluster.this.id
  type        = each.value.type
  label       = each.key
  tags        = [local.beside]
  labels      = merge({ "ias/pool" = "gpu", "ias/gpu" = each.key }, each.value.labels)
  firewall_id = var.private ? var.firewall_id : null

  # Only what asks for a GPU runs where there are some: they cost too much for anything else.
  taint {
    key    = "nvidia.com/gpu"
    value  = "present"
    effect = "NoSchedule"
  }

  autoscaler {
    min = each.value.min
    max = each.value.max
  }

  lifecycle {
    ignore_changes = [node_count]
  }
}

# In a standard cluster pools know no firewall: the nodes of the CPU pool, whose number is fixed there, are put behind it.
resource "linode_firewall_device" "node" {
  count = var.private ? 0 : var.cpu.min

  firewall_id = var.firewall_id
  entity_id   = local.node_ids[count.index]
}

data "linode_instances" "nodes" {
  count = var.private ? 0 : 1

  filter {
    name   = "id"
    values = [for id in local.node_ids : tostring(id)]
  }
}
