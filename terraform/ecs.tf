# Dagster on Fargate: a service with the webserver and the one daemon, a task definition for runs, which EcsRunLauncher
# starts, and one for `ncaa-assets catch-up`, which EventBridge starts.

locals {
  run_family = "${var.project_name}-run"
}

resource "aws_ecs_cluster" "main" {
  #checkov:skip=CKV_AWS_65: Container Insights costs more than the tasks that it would watch; the alarms look at what is backed up

  name = var.project_name

  lifecycle {
    precondition {
      condition     = local.service_role_missing.ecs == ""
      error_message = local.service_role_missing.ecs
    }
  }
}

resource "aws_cloudwatch_log_group" "main" {
  #checkov:skip=CKV_AWS_158: CloudWatch's own key encrypts it; a KMS key of one's own costs a dollar a month
  #checkov:skip=CKV_AWS_338: a month of logs is what anybody reads; the archive says itself what was done on each day

  name              = "/ecs/${var.project_name}"
  retention_in_days = var.log_retention_days
}

module "service_task" {
  source = "./task_definition"

  family             = "${var.project_name}-service"
  size               = var.service_size
  cpu_architecture   = var.cpu_architecture
  execution_role_arn = aws_iam_role.execution.arn
  task_role_arn      = aws_iam_role.service.arn
  containers         = local.service_containers
}

module "run_task" {
  source = "./task_definition"

  family             = local.run_family
  size               = merge(var.run_size, { disk_gib = var.run_disk_gib })
  cpu_architecture   = var.cpu_architecture
  execution_role_arn = aws_iam_role.execution.arn
  task_role_arn      = aws_iam_role.run.arn
  containers         = local.run_containers
}

module "catch_up_task" {
  source = "./task_definition"

  family             = "${var.project_name}-catch-up"
  size               = { cpu = 256, memory = 512 }
  cpu_architecture   = var.cpu_architecture
  execution_role_arn = aws_iam_role.execution.arn
  task_role_arn      = aws_iam_role.catch_up.arn
  containers         = local.catch_up_containers
}

moved {
  from = aws_ecs_task_definition.service
  to   = module.service_task.aws_ecs_task_definition.this
}

moved {
  from = aws_ecs_task_definition.run
  to   = module.run_task.aws_ecs_task_definition.this
}

moved {
  from = aws_ecs_task_definition.catch_up
  to   = module.catch_up_task.aws_ecs_task_definition.this
}

# The service, the schedule and the alarm wait for this. Whatever is missing is said at once.
resource "terraform_data" "ready_to_start" {
  lifecycle {
    precondition {
      condition = local.api_key_is_there
      error_message = (
        local.makes_api_key ? "The secret of the API key is empty: put the key into it first (`terraform output -raw put_key_command`), or name one that has it."
        : local.api_key_json_key == null ? "The secret that rapidapi_secret_arn names is empty: put the key into it, as its whole text, or name one that has it."
        : "The secret that rapidapi_secret_arn names is empty: put {\"${local.api_key_json_key}\": \"…\"} with the key into it, or name one that has it."
      )
    }
    precondition {
      condition     = !local.started || length(var.alert_emails) == 0 || length(local.unconfirmed) < length(toset(var.alert_emails))
      error_message = "Nobody would hear that this deployment fails: the alerts' mail is not confirmed by ${join(", ", local.unconfirmed)}. ${local.confirm}"
    }
  }
}

resource "aws_ecs_service" "dagster" {
  #checkov:skip=CKV_AWS_333: a public address is cheaper than a NAT gateway, and no rule lets anything in to it

  name            = "${var.project_name}-dagster"
  cluster         = aws_ecs_cluster.main.id
  task_definition = module.service_task.arn
  launch_type     = "FARGATE" # EcsRunLauncher starts runs as its own task was started, and fails on capacity providers
  desired_count   = local.started && var.always_on ? 1 : 0

  # Two daemons would launch everything twice: the old one has ended before the new one starts.
  deployment_minimum_healthy_percent = 0
  deployment_maximum_percent         = 100
  availability_zone_rebalancing      = "DISABLED"

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  enable_execute_command = true
  propagate_tags         = "SERVICE"

  network_configuration {
    subnets          = aws_subnet.public[*].id
    security_groups  = [aws_security_group.tasks.id]
    assign_public_ip = true
  }

  depends_on = [
    aws_route.out,
    aws_route_table_association.public,
    aws_iam_role_policy.execution,
    aws_iam_role_policy.service,
    aws_db_instance.dagster,
    aws_rds_cluster_instance.dagster,
    terraform_data.ready_to_start,
  ]
}
