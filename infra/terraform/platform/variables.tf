variable "environment" {
  description = "Which of the three."
  type        = string

  validation {
    condition     = contains(["dev", "staging", "production"], var.environment)
    error_message = "An environment is dev, staging or production."
  }
}

variable "organization" {
  description = "Begins the names of buckets, which are the whole region's: whose they are."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,24}[a-z0-9]$", var.organization))
    error_message = "An organization is 3 to 26 small letters, digits and hyphens: it is part of buckets' names."
  }
}

variable "region" {
  description = "Linode region; it must have LKE, managed databases, and the GPUs of `gpu`."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}-[a-z0-9-]+$", var.region))
    error_message = "A region is written as in us-ord."
  }
}

variable "storage_region" {
  description = "Region of object storage; near the cluster, for Loki and Mimir read much."
  type        = string
}

variable "private" {
  description = "Whether nodes and database share a VPC, which asks for LKE Enterprise. Without, both have public addresses and lists of who may come."
  type        = bool
}

variable "subnet_ipv4" {
  description = "The nodes' subnet in that VPC."
  type        = string
  default     = "10.20.0.0/20"

  validation {
    condition     = can(cidrnetmask(var.subnet_ipv4))
    error_message = "A subnet is written as in 10.20.0.0/20."
  }
}

variable "k8s_version" {
  description = "major.minor, or LKE Enterprise's own name of a version, such as v1.34.1+lke2."
  type        = string

  validation {
    condition     = can(regex("^(1\\.[0-9]{2}|v1\\.[0-9]{2}\\.[0-9]+\\+lke[0-9]+)$", var.k8s_version))
    error_message = "A version is written as in 1.34, or v1.34.1+lke2 for LKE Enterprise."
  }
}

variable "high_availability" {
  description = "A control plane of several replicas; cannot be taken back."
  type        = bool
}

variable "api_allow_ipv4" {
  description = "Who may reach the Kubernetes API: the networks of those who operate, and of the runners that apply."
  type        = list(string)

  validation {
    condition     = alltrue([for network in var.api_allow_ipv4 : can(cidrnetmask(network)) && network != "0.0.0.0/0"])
    error_message = "Networks are written as in 192.0.2.0/24; 0.0.0.0/0 is everybody, and nobody needs that."
  }
}

variable "api_allow_ipv6" {
  description = "The same in IPv6."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for network in var.api_allow_ipv6 : can(cidrhost(network, 0)) && network != "::/0"])
    error_message = "Networks are written as in 2001:db8::/32; ::/0 is everybody, and nobody needs that."
  }
}

variable "ingress_allow_ipv4" {
  description = "Who may reach the platform's own doors."
  type        = list(string)
  default     = ["0.0.0.0/0"]
}

variable "ingress_allow_ipv6" {
  description = "The same in IPv6."
  type        = list(string)
  default     = ["::/0"]
}

variable "cpu" {
  description = "The pool of everything but models: docs/sizing.md says how much."
  type        = object({ type = string, min = number, max = number })

  validation {
    condition     = var.cpu.min >= 3 && var.cpu.max >= var.cpu.min
    error_message = "A CPU pool has 3 nodes or more (Redis and RabbitMQ keep three copies on three nodes), and max is not below min."
  }
}

variable "gpu" {
  description = "Pools with GPUs by name; a model chooses one by the label ias/gpu."
  type = map(object({
    type   = string
    min    = number
    max    = number
    labels = optional(map(string), {})
  }))
  default = {}

  validation {
    condition     = alltrue([for pool in values(var.gpu) : pool.min >= 1 && pool.max >= pool.min])
    error_message = "A GPU pool has one node or more: LKE's autoscaler does not go to 0. Leave the pool out to have none."
  }
}

variable "database" {
  description = "Managed PostgreSQL. `instances` are databases by name: one begins empty, or as the one with the id `from` was at `to_time` (RFC 3339; the newest without it). `use` says which the product is told of."
  type = object({
    version = string
    type    = string
    nodes   = number
    use     = optional(string, "first")
    instances = optional(map(object({
      from    = optional(number)
      to_time = optional(string)
    })), { first = {} })
  })

  validation {
    condition     = contains(keys(var.database.instances), var.database.use)
    error_message = "The database in use is one of its instances."
  }

  validation {
    condition     = alltrue([for name in keys(var.database.instances) : can(regex("^[a-z0-9]{1,12}$", name))])
    error_message = "An instance has a name of 1 to 12 small letters and digits, such as r20260131."
  }

  validation {
    condition     = contains([1, 2, 3], var.database.nodes)
    error_message = "A database has 1, 2 or 3 nodes."
  }

  validation {
    condition     = can(tonumber(var.database.version)) && tonumber(var.database.version) >= 15
    error_message = "PostgreSQL is 15 or later."
  }
}

variable "keep" {
  description = "Days that logs, traces and replaced backups are kept; as in infra/argocd/values/{loki,tempo}.yaml."
  type        = object({ logs_days = number, traces_days = number, backups_days = number })
  default     = { logs_days = 30, traces_days = 14, backups_days = 35 }
}

variable "zone" {
  description = "The domain in Linode's DNS."
  type        = string
}

variable "names" {
  description = "Names in it that lead here, such as api.dev and dev."
  type        = list(string)
}

variable "secrets" {
  description = "The secret store's mount; and by the name of what is drawn how often it has been, where that is not once: { jwt = 2 } draws it anew (README.md, \"Passwords drawn anew\")."
  type        = object({ mount = optional(string, "kv"), draws = optional(map(number), {}) })
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.secrets.draws), local.drawn)) == 0
    error_message = "Drawn are: ${join(", ", local.drawn)}."
  }
}
