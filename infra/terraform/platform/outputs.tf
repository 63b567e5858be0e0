output "cluster_id" {
  description = "`linode-cli lke kubeconfig-view ID` gives the way in."
  value       = module.cluster.id
}

output "api_endpoints" {
  description = "Of the Kubernetes API."
  value       = module.cluster.api_endpoints
}

output "database" {
  description = "Each by name: id (for a restore), host, and the port that infra/argocd/values/{ias,platform}-<environment>.yaml have of the one in use."
  value       = { for name, one in module.database : name => { id = one.id, host = one.host, port = one.port } }
}

output "ingress" {
  description = "The NodeBalancer; its id belongs into infra/argocd/values/traefik-<environment>.yaml."
  value       = module.network.ingress
}

output "names" {
  description = "Names that lead to it."
  value       = module.dns.names
}

output "buckets" {
  description = "Names of the buckets, for infra/argocd/values/."
  value       = module.storage.buckets
}

output "secrets" {
  description = "Where the secret store has what only Terraform knew."
  value       = module.secrets.paths
}
