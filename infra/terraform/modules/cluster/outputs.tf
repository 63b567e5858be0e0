output "id" {
  description = "Of the cluster; `linode-cli lke kubeconfig-view ID` gives the way in. The kubeconfig itself is no output."
  value       = linode_lke_cluster.this.id
}

output "api_endpoints" {
  description = "Of the Kubernetes API."
  value       = linode_lke_cluster.this.api_endpoints
}

output "node_addresses" {
  description = "Public addresses of the CPU pool's nodes, for the database's list; empty in a VPC."
  value       = [for node in flatten(data.linode_instances.nodes[*].instances) : "${node.ip_address}/32"]
}
