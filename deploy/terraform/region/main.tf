# What one region needs from AWS: a KMS key of its own and two Postgres servers that nobody outside its
# network can reach. One is for PHI and one is for the keyring, so that destroying a patient's keys
# also ends every old backup of the PHI (45 CFR 164.310(d)(2)(i)). Apply it once per region, in that region's account.

terraform {
  required_version = ">= 1.6"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "cluster" {
  description = "Name of the cluster: part of every key's encryption context."
  type        = string
}

variable "jurisdiction" {
  description = "ISO 3166-2 code of the jurisdiction that this region serves, such as US-TX."
  type        = string
}

variable "vpc_id" {
  description = "The network that the region's nodes run in."
  type        = string
}

variable "private_subnet_ids" {
  description = "Subnets without a route to an internet gateway, in at least two zones."
  type        = list(string)

  validation {
    condition     = length(var.private_subnet_ids) >= 2
    error_message = "Give at least two private subnets, in different zones."
  }
}

variable "node_security_group_id" {
  description = "Security group of the region's nodes: the only one that may reach the databases."
  type        = string
}

variable "node_role_arn" {
  description = "IAM role of the region's nodes: the only one that may use the key."
  type        = string
}

variable "instance_class" {
  description = "Size of the database servers."
  type        = string
  default     = "db.m7g.large"
}

locals {
  name    = lower("${var.cluster}-${var.jurisdiction}")
  servers = toset(["phi", "keyring"])
}

# Wraps this region's data keys, and no other region's. It is a single-region key on purpose: a replica of
# a multi-region key goes on decrypting elsewhere after this one is disabled.
resource "aws_kms_key" "region" {
  description             = "Wraps Domicile's data keys of ${var.jurisdiction}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  multi_region            = false
  tags                    = { jurisdiction = var.jurisdiction }
}

resource "aws_kms_alias" "region" {
  name          = "alias/${local.name}"
  target_key_id = aws_kms_key.region.key_id
}

# A grant names the operations and requires the encryption context, so that the nodes cannot use the key
# for another region's data even by mistake.
resource "aws_kms_grant" "nodes" {
  name              = "${local.name}-nodes"
  key_id            = aws_kms_key.region.key_id
  grantee_principal = var.node_role_arn
  operations        = ["GenerateDataKey", "Decrypt", "DescribeKey"]

  constraints {
    encryption_context_subset = {
      cluster = var.cluster
      region  = var.jurisdiction
    }
  }
}

resource "aws_security_group" "database" {
  name        = "${local.name}-database"
  description = "Postgres of ${var.jurisdiction}, from its nodes only"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "nodes" {
  security_group_id            = aws_security_group.database.id
  referenced_security_group_id = var.node_security_group_id
  description                  = "Postgres from this region's nodes"
  from_port                    = 5432
  to_port                      = 5432
  ip_protocol                  = "tcp"
}

resource "aws_db_subnet_group" "private" {
  name       = local.name
  subnet_ids = var.private_subnet_ids
}

# TLS is required, and no statement, parameter or DETAIL line reaches the server's log.
resource "aws_db_parameter_group" "quiet" {
  name   = local.name
  family = "postgres16"

  dynamic "parameter" {
    for_each = {
      "rds.force_ssl"                     = "1"
      "log_error_verbosity"               = "terse"
      "log_min_error_statement"           = "panic"
      "log_parameter_max_length"          = "0"
      "log_parameter_max_length_on_error" = "0"
      "log_statement"                     = "none"
    }
    content {
      name  = parameter.key
      value = parameter.value
    }
  }
}

resource "aws_db_instance" "server" {
  for_each = local.servers

  identifier                  = "${local.name}-${each.key}"
  engine                      = "postgres"
  engine_version              = "16"
  instance_class              = var.instance_class
  allocated_storage           = 100
  max_allocated_storage       = 1000
  db_name                     = "domicile"
  username                    = "domicile_admin"
  manage_master_user_password = true
  multi_az                    = true
  publicly_accessible         = false
  db_subnet_group_name        = aws_db_subnet_group.private.name
  vpc_security_group_ids      = [aws_security_group.database.id]
  parameter_group_name        = aws_db_parameter_group.quiet.name
  storage_encrypted           = true
  kms_key_id                  = aws_kms_key.region.arn
  backup_retention_period     = each.key == "phi" ? 35 : 1
  deletion_protection         = true
  copy_tags_to_snapshot       = true
  auto_minor_version_upgrade  = true
  tags                        = { jurisdiction = var.jurisdiction, holds = each.key }
}

output "kms_key_arn" {
  description = "For `[keys] key_id` in node.toml."
  value       = aws_kms_key.region.arn
}

output "postgres" {
  description = "Addresses of the two servers, for `[database]` and `[keys.keyring]` in node.toml."
  value       = { for name, server in aws_db_instance.server : name => server.address }
}
