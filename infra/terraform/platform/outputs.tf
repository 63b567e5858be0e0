output "cluster_id" {
  description = "`linode-cli lke kubeconfig-view ID` gives the way in."
  value       = module.cluster.id
}

output "api_endpoints" {
  description = "Of the Kubernetes API."
  value       = module.cluster.api_endpoints
}

output "database" {
  description = "Its id (for a restore), and where it is: host and port are in infra/argocd/values/ias-<environment>.yaml too."
  value       = { id = module.database.id, host = module.database.host, port = module.database.port }
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
