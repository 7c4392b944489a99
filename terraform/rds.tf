# Dagster's own records: its runs, events and ticks. The archive does not depend on them. While always_on the database is
# the smallest instance there is; otherwise Aurora, which pauses at zero capacity and then costs its few pages of storage.
# One takes the other's place when always_on changes, and Dagster's records begin anew; a plan refuses that while both are
# protected (docs/deployment.md has the way).

locals {
  database_user = "dagster"
  database_name = "dagster"

  database_log_group = "/aws/rds/instance/${var.project_name}/postgresql"
  database_host      = var.always_on ? aws_db_instance.dagster[0].address : aws_rds_cluster.dagster[0].endpoint
}

resource "aws_db_subnet_group" "main" {
  name       = var.project_name
  subnet_ids = aws_subnet.private[*].id
}

# Postgres exports its log to a group of this name, and would make one that keeps everything for ever.
resource "aws_cloudwatch_log_group" "database" {
  #checkov:skip=CKV_AWS_158: CloudWatch's own key encrypts it; a KMS key of one's own costs a dollar a month
  #checkov:skip=CKV_AWS_338: a month of logs is what anybody reads

  count = var.always_on ? 1 : 0

  name              = local.database_log_group
  retention_in_days = var.log_retention_days
}

data "aws_cloudwatch_log_groups" "database" {
  log_group_name_prefix = local.database_log_group
}

# Of a deployment by an earlier version it is there already.
import {
  for_each = toset([for name in data.aws_cloudwatch_log_groups.database.log_group_names : name if name == local.database_log_group && var.always_on])
  to       = aws_cloudwatch_log_group.database[0]
  id       = each.key
}

resource "aws_db_instance" "dagster" {
  #checkov:skip=CKV_AWS_293: protected while local.is_protected, which checkov does not follow
  #checkov:skip=CKV_AWS_157: a second instance doubles the price of records that the archive does not depend on
  #checkov:skip=CKV_AWS_353: Performance Insights has nothing to tell of a few queries a minute
  #checkov:skip=CKV_AWS_118: enhanced monitoring costs more than the instance's own metrics are worth here
  #checkov:skip=CKV_AWS_161: Dagster signs in with its password, which ECS injects; it knows no IAM tokens
  #checkov:skip=CKV2_AWS_30: query logs would hold every event of every run a second time

  count = var.always_on ? 1 : 0

  identifier     = var.project_name
  engine         = "postgres"
  engine_version = "16"
  instance_class = var.database_instance_class

  db_name             = local.database_name
  username            = local.database_user
  password_wo         = ephemeral.aws_secretsmanager_secret_version.database.secret_string
  password_wo_version = aws_secretsmanager_secret_version.database.secret_string_wo_version

  allocated_storage     = var.database_storage_gib
  max_allocated_storage = var.database_storage_gib * 5
  storage_type          = "gp3"
  storage_encrypted     = true

  db_subnet_group_name   = aws_db_subnet_group.main.name
  vpc_security_group_ids = [aws_security_group.database.id]
  publicly_accessible    = false

  auto_minor_version_upgrade      = true
  backup_retention_period         = var.database_backup_days
  copy_tags_to_snapshot           = true
  enabled_cloudwatch_logs_exports = ["postgresql"]

  deletion_protection       = local.is_protected
  skip_final_snapshot       = !local.is_protected
  final_snapshot_identifier = "${var.project_name}-final"

  lifecycle {
    prevent_destroy = true

    precondition {
      condition     = local.service_role_missing.rds == ""
      error_message = local.service_role_missing.rds
    }
  }

  depends_on = [aws_cloudwatch_log_group.database]
}

resource "aws_rds_cluster" "dagster" {
  #checkov:skip=CKV_AWS_162: Dagster signs in with its password, which ECS injects; it knows no IAM tokens
  #checkov:skip=CKV_AWS_324: query logs would hold every event of every run a second time
  #checkov:skip=CKV_AWS_327: RDS's own key encrypts it; a KMS key of one's own costs a dollar a month
  #checkov:skip=CKV2_AWS_8: Aurora's own backups suffice for records that the archive does not depend on
  #checkov:skip=CKV2_AWS_27: query logs would hold every event of every run a second time

  count = var.always_on ? 0 : 1

  cluster_identifier = var.project_name
  engine             = "aurora-postgresql"
  engine_mode        = "provisioned"
  engine_version     = "16" # of a major version AWS takes its default minor one; pausing at zero came with 16.3
  database_name      = local.database_name

  master_username            = local.database_user
  master_password_wo         = ephemeral.aws_secretsmanager_secret_version.database.secret_string
  master_password_wo_version = aws_secretsmanager_secret_version.database.secret_string_wo_version

  serverlessv2_scaling_configuration {
    min_capacity             = 0
    max_capacity             = var.aurora_max_capacity
    seconds_until_auto_pause = 300
  }

  storage_encrypted      = true
  db_subnet_group_name   = aws_db_subnet_group.main.name
  vpc_security_group_ids = [aws_security_group.database.id]

  backup_retention_period = var.database_backup_days
  copy_tags_to_snapshot   = true

  deletion_protection       = local.is_protected
  skip_final_snapshot       = !local.is_protected
  final_snapshot_identifier = "${var.project_name}-final"

  lifecycle {
    prevent_destroy = true
    ignore_changes  = [engine_version] # earlier versions named a minor one, and AWS takes those by itself

    precondition {
      condition     = local.service_role_missing.rds == ""
      error_message = local.service_role_missing.rds
    }
  }
}

resource "aws_rds_cluster_instance" "dagster" {
  #checkov:skip=CKV_AWS_118: enhanced monitoring would keep the database from being worth its pause
  #checkov:skip=CKV_AWS_353: Performance Insights has nothing to tell of a few queries a day

  count = var.always_on ? 0 : 1

  identifier         = "${var.project_name}-1"
  cluster_identifier = aws_rds_cluster.dagster[0].id
  engine             = aws_rds_cluster.dagster[0].engine
  instance_class     = "db.serverless"

  auto_minor_version_upgrade = true
  copy_tags_to_snapshot      = true
  publicly_accessible        = false

  lifecycle {
    ignore_changes = [engine_version]
  }
}
