# Object storage: a private bucket for each thing that is kept, and a key for each bucket that opens nothing else.
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
  # Days that objects are kept. Loki, Tempo and Mimir delete by themselves; this is for what they leave behind.
  buckets = {
    backups = { versioning = true, keep_days = null, keep_replaced_days = var.keep_backups_days }
    loki    = { versioning = false, keep_days = var.keep_logs_days + 7, keep_replaced_days = null }
    tempo   = { versioning = false, keep_days = var.keep_traces_days + 7, keep_replaced_days = null }
    mimir   = { versioning = false, keep_days = null, keep_replaced_days = null }
  }
}

resource "linode_object_storage_bucket" "this" {
  for_each = local.buckets

  # Names are the whole region's: the prefix makes them ours.
  label        = "${var.prefix}-${each.key}"
  region       = var.region
  acl          = "private"
  cors_enabled = false
  versioning   = each.value.versioning

  lifecycle_rule {
    id                                     = "leftovers"
    enabled                                = true
    abort_incomplete_multipart_upload_days = 3

    dynamic "expiration" {
      for_each = each.value.keep_days == null ? [] : [each.value.keep_days]
      content {
        days = expiration.value
      }
    }

    dynamic "noncurrent_version_expiration" {
      for_each = each.value.keep_replaced_days == null ? [] : [each.value.keep_replaced_days]
      content {
        days = noncurrent_version_expiration.value
      }
    }
  }

  lifecycle {
    prevent_destroy = true
  }
}

resource "linode_object_storage_key" "this" {
  for_each = local.buckets

  label = linode_object_storage_bucket.this[each.key].label

  bucket_access {
    bucket_name = linode_object_storage_bucket.this[each.key].label
    region      = var.region
    permissions = "read_write"
  }
}
