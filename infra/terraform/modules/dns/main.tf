# The names that people and programs know the platform by.
terraform {
  required_version = ">= 1.11, < 2.0"

  required_providers {
    linode = {
      source  = "linode/linode"
      version = "4.5.0"
    }
  }
}

data "linode_domain" "zone" {
  domain = var.zone
}

locals {
  zone_id = data.linode_domain.zone.id
  addresses = {
    for pair in setproduct(var.names, ["A", "AAAA"]) : "${pair[0]}/${pair[1]}" => { name = pair[0], type = pair[1] }
  }
}

resource "linode_domain_record" "address" {
  for_each = local.addresses

  domain_id   = local.zone_id
  name        = each.value.name
  record_type = each.value.type
  target      = each.value.type == "A" ? var.ipv4 : var.ipv6
  ttl_sec     = 300
}

# Certificates of these names come from one authority, and from no other.
resource "linode_domain_record" "authority" {
  for_each = toset(var.names)

  domain_id   = local.zone_id
  name        = each.value
  record_type = "CAA"
  tag         = "issue"
  target      = var.certificate_authority
  ttl_sec     = 3600
}
