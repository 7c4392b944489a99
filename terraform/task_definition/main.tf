# What the three task definitions share. Revisions are never deregistered: what was started from one goes on, a service
# can go back to one, and an apply that breaks off leaves those that were there. They cost nothing.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "family" {
  description = "The definition's name."
  type        = string
}

variable "size" {
  description = "CPU units and MiB, and GiB of disk where 20 are not enough."
  type        = object({ cpu = number, memory = number, disk_gib = optional(number, 20) })
}

variable "cpu_architecture" {
  description = "What the image was built for."
  type        = string
}

variable "execution_role_arn" {
  description = "The role by which ECS starts the containers."
  type        = string
}

variable "task_role_arn" {
  description = "The role of what runs in them."
  type        = string
}

variable "containers" {
  description = "The container definitions."
  type        = any
}

resource "aws_ecs_task_definition" "this" {
  #checkov:skip=CKV_AWS_336: ECS Exec, a step's output and Dagster's own home are written in the container

  family                   = var.family
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.size.cpu
  memory                   = var.size.memory
  execution_role_arn       = var.execution_role_arn
  task_role_arn            = var.task_role_arn
  container_definitions    = jsonencode(var.containers)
  skip_destroy             = true

  dynamic "ephemeral_storage" {
    for_each = var.size.disk_gib > 20 ? [var.size.disk_gib] : []
    content {
      size_in_gib = ephemeral_storage.value
    }
  }

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.cpu_architecture
  }

  # Of a revision that an earlier version registered, without skip_destroy, the successor comes first.
  lifecycle {
    create_before_destroy = true
  }
}

output "arn" {
  description = "The revision's ARN."
  value       = aws_ecs_task_definition.this.arn
}

output "every_arn" {
  description = "What a policy calls every revision, this one and those to come."
  value       = "${aws_ecs_task_definition.this.arn_without_revision}:*"
}

output "family" {
  description = "The definition's name."
  value       = aws_ecs_task_definition.this.family
}
