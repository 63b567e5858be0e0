output "vpc_id" {
  description = "The VPC, or null."
  value       = one(linode_vpc.this[*].id)
}

output "subnet_id" {
  description = "The nodes' subnet, or null."
  value       = one(linode_vpc_subnet.nodes[*].id)
}

output "nodes_firewall_id" {
  description = "For node pools that take one."
  value       = linode_firewall.nodes.id
}

output "ingress" {
  description = "The NodeBalancer: its id for the ingress controller's annotation, its addresses for DNS."
  value = {
    id   = linode_nodebalancer.ingress.id
    ipv4 = linode_nodebalancer.ingress.ipv4
    ipv6 = linode_nodebalancer.ingress.ipv6
  }
}
