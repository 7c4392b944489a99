# Dagster on Fargate: a service with the webserver and the one daemon, a task definition for runs, which EcsRunLauncher
# starts, and one for `ncaa-assets catch-up`, which EventBridge starts.

locals {
  run_family = "${var.project_name}-run"
}

resource "aws_ecs_cluster" "main" {
  #checkov:skip=CKV_AWS_65: Container Insights costs more than the tasks that it would watch; the alarms look at what is backed up

  name = var.project_name
}

resource "aws_cloudwatch_log_group" "main" {
  #checkov:skip=CKV_AWS_158: CloudWatch's own key encrypts it; a KMS key of one's own costs a dollar a month
  #checkov:skip=CKV_AWS_338: a month of logs is what anybody reads; the archive says itself what was done on each day

  name              = "/ecs/${var.project_name}"
  retention_in_days = var.log_retention_days
}

resource "aws_ecs_task_definition" "service" {
  #checkov:skip=CKV_AWS_336: ECS Exec, the only way to the UI, writes into the container's own file system

  family                   = "${var.project_name}-service"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.service_size.cpu
  memory                   = var.service_size.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.service.arn
  container_definitions    = jsonencode(local.service_containers)

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.cpu_architecture
  }
}

resource "aws_ecs_task_definition" "run" {
  #checkov:skip=CKV_AWS_336: a run keeps its step's output in the container until it is in the bucket

  family                   = local.run_family
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.run_size.cpu
  memory                   = var.run_size.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.run.arn
  container_definitions    = jsonencode(local.run_containers)

  dynamic "ephemeral_storage" {
    for_each = var.run_disk_gib > 20 ? [var.run_disk_gib] : []
    content {
      size_in_gib = ephemeral_storage.value
    }
  }

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.cpu_architecture
  }
}

resource "aws_ecs_task_definition" "catch_up" {
  #checkov:skip=CKV_AWS_336: Dagster keeps files of its own in its home while a command works

  family                   = "${var.project_name}-catch-up"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.catch_up.arn
  container_definitions    = jsonencode(local.catch_up_containers)

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.cpu_architecture
  }
}

resource "aws_ecs_service" "dagster" {
  #checkov:skip=CKV_AWS_333: a public address is cheaper than a NAT gateway, and no rule lets anything in to it

  name            = "${var.project_name}-dagster"
  cluster         = aws_ecs_cluster.main.id
  task_definition = aws_ecs_task_definition.service.arn
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

  lifecycle {
    precondition {
      condition     = local.api_key_is_there
      error_message = "The secret of the API key is empty: put the key into it first (`terraform output -raw put_key_command`), or name one that has it."
    }
  }

  depends_on = [
    aws_route.out,
    aws_route_table_association.public,
    aws_iam_role_policy.execution,
    aws_iam_role_policy.service,
    aws_db_instance.dagster,
    aws_rds_cluster_instance.dagster,
  ]
}
