# What stands between the internet and the nodes: a VPC of our own, the firewall of the nodes, and the one
# NodeBalancer that clients reach (made here, so that DNS knows its address before anything runs in the cluster).
terraform {
  required_version = ">= 1.11, < 2.0"

  required_providers {
    linode = {
      source  = "linode/linode"
      version = "4.5.0"
    }
  }
}

resource "linode_vpc" "this" {
  count = var.private ? 1 : 0

  label       = var.name
  region      = var.region
  description = "Nodes and database of ${var.name}"

  # LKE Enterprise asks for a subnet of both families.
  ipv6 = [{ range = "/52" }]
}

resource "linode_vpc_subnet" "nodes" {
  count = var.private ? 1 : 0

  vpc_id = linode_vpc.this[0].id
  label  = "nodes"
  ipv4   = var.subnet_ipv4
  ipv6   = [{ range = "/56" }]
}

# Nodes have public addresses. From outside nothing of them is reachable; what Kubernetes needs among nodes is.
resource "linode_firewall" "nodes" {
  label           = "${var.name}-nodes"
  inbound_policy  = "DROP"
  outbound_policy = "ACCEPT"
  tags            = var.tags

  dynamic "inbound" {
    for_each = local.among_nodes
    content {
      label    = inbound.key
      action   = "ACCEPT"
      protocol = inbound.value.protocol
      ports    = inbound.value.ports
      ipv4     = inbound.value.ipv4
    }
  }
}

locals {
  # Private addresses of a region's Linodes, those of its NodeBalancers, and our own subnet.
  nodes         = concat(["192.168.128.0/17"], var.private ? [var.subnet_ipv4] : [])
  nodebalancers = concat(["192.168.255.0/24"], var.private ? [var.subnet_ipv4] : [])

  among_nodes = {
    kubelet       = { protocol = "TCP", ports = "10250", ipv4 = local.nodes }
    kube-proxy    = { protocol = "TCP", ports = "10256", ipv4 = local.nodes }
    dns-tcp       = { protocol = "TCP", ports = "53", ipv4 = local.nodes }
    dns-udp       = { protocol = "UDP", ports = "53", ipv4 = local.nodes }
    wireguard     = { protocol = "UDP", ports = "51820", ipv4 = local.nodes }
    calico-bgp    = { protocol = "TCP", ports = "179", ipv4 = local.nodes }
    calico-typha  = { protocol = "TCP", ports = "5473", ipv4 = local.nodes }
    nodeports-tcp = { protocol = "TCP", ports = "30000-32767", ipv4 = local.nodebalancers }
    nodeports-udp = { protocol = "UDP", ports = "30000-32767", ipv4 = local.nodebalancers }
    encapsulated  = { protocol = "IPENCAP", ports = null, ipv4 = local.nodes }
  }
}

resource "linode_firewall" "ingress" {
  label           = "${var.name}-ingress"
  inbound_policy  = "DROP"
  outbound_policy = "ACCEPT"
  tags            = var.tags

  # 80 answers with a redirect to https, and certificates are renewed over it (ACME HTTP-01).
  inbound {
    label    = "web"
    action   = "ACCEPT"
    protocol = "TCP"
    ports    = "80,443"
    ipv4     = var.ingress_allow_ipv4
    ipv6     = var.ingress_allow_ipv6
  }

  nodebalancers = [linode_nodebalancer.ingress.id]
}

resource "linode_nodebalancer" "ingress" {
  label  = "${var.name}-ingress"
  region = var.region
  tags   = var.tags

  # Ports and back ends are put into it by the cluster, by the annotation on the ingress controller's Service.
  lifecycle {
    prevent_destroy = true # its address is in DNS, and perhaps on lists of our clients
  }
}
