# Where every commit of main runs first: small, and may be lost.
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

  # Made once by hand (README.md). Its login is AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; whoever reads the state
  # reads the database's password, so the key opens this bucket alone.
  backend "s3" {
    bucket       = "your-org-ias-terraform"
    key          = "dev/terraform.tfstate"
    region       = "us-ord"
    use_lockfile = true

    endpoints = { s3 = "https://us-ord-1.linodeobjects.com" }

    skip_credentials_validation = true
    skip_metadata_api_check     = true
    skip_region_validation      = true
    skip_requesting_account_id  = true
    skip_s3_checksum            = true
  }
}

# LINODE_TOKEN. A standard cluster needs no more than the API that everybody has.
provider "linode" {
  api_version       = "v4"
  obj_use_temp_keys = true # for buckets' versioning and lifecycle, for as long as an apply takes
}

# VAULT_ADDR and VAULT_TOKEN: any store with Vault's API, such as OpenBao.
provider "vault" {}

module "platform" {
  source = "../../platform"

  environment    = "dev"
  organization   = "your-org"
  region         = "us-ord"
  storage_region = "us-ord"
  private        = false

  k8s_version       = "1.34"
  high_availability = false
  api_allow_ipv4    = ["192.0.2.0/24"]

  cpu = { type = "g6-dedicated-4", min = 3, max = 3 }
  gpu = {
    rtx4000 = { type = "g2-gpu-rtx4000a1-s", min = 1, max = 1 }
  }

  database = { version = "17", type = "g6-dedicated-2", nodes = 1 }
  keep     = { logs_days = 7, traces_days = 3, backups_days = 7 }

  zone  = "ias.example.com"
  names = ["api.dev", "dev"]
}
