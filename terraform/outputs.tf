# What a person or a script needs next. The commands are whole: eval "$(terraform output -raw ui_command)". They need
# version 2 of the AWS CLI.

locals {
  cli = "aws --region ${var.aws_region}"
  # What .dockerignore lets into the image, and what makes it. The image is built of the commit alone (git archive).
  image_files = ["Dockerfile", ".dockerignore", "README.md", "ncaa_assets", "pyproject.toml", "requirements"]
  network = join(",", [
    "subnets=[${join(",", aws_subnet.public[*].id)}]",
    "securityGroups=[${aws_security_group.tasks.id}]",
    "assignPublicIp=ENABLED",
  ])
}

output "aws_region" {
  description = "The region of everything."
  value       = var.aws_region
}

output "s3_bucket_name" {
  description = "The archive's bucket."
  value       = aws_s3_bucket.archive.bucket
}

output "dynamodb_table" {
  description = "The table of the rows."
  value       = aws_dynamodb_table.highlights.name
}

output "mediaconvert_role_arn" {
  description = "The role by which MediaConvert works: MEDIACONVERT_ROLE_ARN of a backup from anywhere else."
  value       = local.mediaconvert_role_arn
}

output "ecr_repository_url" {
  description = "Where the image is pushed to."
  value       = aws_ecr_repository.main.repository_url
}

output "ecs_cluster" {
  description = "The cluster of all tasks."
  value       = aws_ecs_cluster.main.name
}

output "ecs_service" {
  description = "The service with the webserver and the daemon."
  value       = aws_ecs_service.dagster.name
}

output "run_task_definition" {
  description = "The family of a run's task."
  value       = module.run_task.family
}

output "catch_up_task_definition" {
  description = "The family of catch-up's task."
  value       = module.catch_up_task.family
}

output "subnets" {
  description = "The subnets that tasks stand in."
  value       = aws_subnet.public[*].id
}

output "security_group" {
  description = "The security group of tasks."
  value       = aws_security_group.tasks.id
}

output "log_group" {
  description = "Where all containers log."
  value       = aws_cloudwatch_log_group.main.name
}

output "alert_topic_arn" {
  description = "Where failures are told."
  value       = aws_sns_topic.alerts.arn
}

output "database_host" {
  description = "Dagster's database, which only the tasks can reach."
  value       = local.database_host
}

output "api_key_secret_arn" {
  description = "Where the API key is kept."
  value       = local.given.rapidapi_ssm_parameter_arn != null ? local.given.rapidapi_ssm_parameter_arn : local.api_key_secret_arn
}

output "is_started" {
  description = "Whether an image is deployed; until then nothing runs."
  value       = local.started
}

output "put_key_command" {
  description = "Puts the API key, which it asks for, into the secret; the key comes into no file and no shell history."
  value = !local.makes_api_key ? "echo 'The key is kept where you said (terraform output api_key_secret_arn).'" : join(" ", [
    "printf 'API key: ' && read -r -s KEY && echo &&",
    "printf '{\"api_key\": \"%s\"}' \"$KEY\" |",
    "${local.cli} secretsmanager put-secret-value --secret-id ${aws_secretsmanager_secret.api_key[0].name}",
    "--secret-string file:///dev/stdin --query VersionId --output text; unset KEY",
  ])
}

output "push_command" {
  description = "Builds the image of the commit that is checked out, pushes it under the commit's short hash (for ARM64 with -arm64 behind it) and writes that into terraform.tfvars. Refuses what is not committed; an image that is there stays."
  value = join(" && ", [
    "TOP=$(git rev-parse --show-toplevel)",
    "TAG=$(git rev-parse --short HEAD)${var.cpu_architecture == "ARM64" ? "-arm64" : ""}",
    join(" ", [
      "if [ -n \"$(git -C \"$TOP\" status --porcelain -- ${join(" ", local.image_files)})\" ]; then",
      "echo 'What the image is made of differs from the commit: commit it first, or stash it (git status).' >&2; false;",
      "elif ${local.cli} ecr describe-images --repository-name ${aws_ecr_repository.main.name} --image-ids imageTag=$TAG > /dev/null 2>&1; then",
      "echo \"The image $TAG is there already.\";",
      "else",
      join(" && ", [
        "${local.cli} ecr get-login-password | docker login --username AWS --password-stdin ${split("/", aws_ecr_repository.main.repository_url)[0]}",
        "git -C \"$TOP\" archive HEAD | docker build --platform linux/${var.cpu_architecture == "ARM64" ? "arm64" : "amd64"} -t ${aws_ecr_repository.main.repository_url}:$TAG -",
        "docker push ${aws_ecr_repository.main.repository_url}:$TAG",
      ]),
      "; fi",
    ]),
    "VARS=$TOP/terraform/terraform.tfvars",
    "{ grep -q '^ *image_tag *=' \"$VARS\" || echo 'image_tag = null' >> \"$VARS\"; }",
    "sed \"s/^ *image_tag *=.*/image_tag = \\\"$TAG\\\"/\" \"$VARS\" > \"$VARS.new\"",
    "mv \"$VARS.new\" \"$VARS\"",
    "grep image_tag \"$VARS\"",
  ])
}

output "ui_command" {
  description = "Forwards the UI to http://localhost:3000 until Ctrl-C; needs the AWS CLI and its Session Manager plugin."
  value = join("; ", [
    "TASK=$(${local.cli} ecs list-tasks --cluster ${aws_ecs_cluster.main.name} --service-name ${aws_ecs_service.dagster.name} --desired-status RUNNING --query 'taskArns[0]' --output text)",
    "RUNTIME=$(${local.cli} ecs describe-tasks --cluster ${aws_ecs_cluster.main.name} --tasks \"$TASK\" --query \"tasks[0].containers[?name=='webserver'].runtimeId | [0]\" --output text)",
    "${local.cli} ssm start-session --target \"ecs:${aws_ecs_cluster.main.name}_$${TASK##*/}_$RUNTIME\" --document-name AWS-StartPortForwardingSession --parameters '{\"portNumber\":[\"3000\"],\"localPortNumber\":[\"3000\"]}'",
  ])
}

output "start_ui_command" {
  description = "Starts the UI and the daemon where they do not run all the time, and waits until they are up."
  value = join(" && ", [
    "${local.cli} ecs update-service --cluster ${aws_ecs_cluster.main.name} --service ${aws_ecs_service.dagster.name} --desired-count 1 --query service.status --output text",
    "${local.cli} ecs wait services-stable --cluster ${aws_ecs_cluster.main.name} --services ${aws_ecs_service.dagster.name}",
  ])
}

output "stop_ui_command" {
  description = "Stops the UI and the daemon."
  value       = "${local.cli} ecs update-service --cluster ${aws_ecs_cluster.main.name} --service ${aws_ecs_service.dagster.name} --desired-count 0 --query service.status --output text"
}

output "doctor_command" {
  description = "Looks, in a task with a run's role, settings and key, whether a backup would work there; its answer is in the log (logs_command)."
  value       = "${local.cli} ecs run-task --cluster ${aws_ecs_cluster.main.name} --task-definition ${module.run_task.family} --launch-type FARGATE --network-configuration 'awsvpcConfiguration={${local.network}}' --query 'tasks[0].taskArn' --output text"
}

output "catch_up_command" {
  description = "Backs up now whichever of the last days is missing."
  value       = "${local.cli} ecs run-task --cluster ${aws_ecs_cluster.main.name} --task-definition ${module.catch_up_task.family} --launch-type FARGATE --network-configuration 'awsvpcConfiguration={${local.network}}' --query 'tasks[0].taskArn' --output text"
}

output "events_command" {
  description = "What ECS says of the service, the newest first: why a task did not come up."
  value       = "${local.cli} ecs describe-services --cluster ${aws_ecs_cluster.main.name} --services ${aws_ecs_service.dagster.name} --query 'services[0].events[:10].[createdAt,message]' --output text"
}

output "logs_command" {
  description = "Follows the log of all containers."
  value       = "${local.cli} logs tail ${aws_cloudwatch_log_group.main.name} --follow --since 15m"
}

# ---- Getting back what was there ------------------------------------------------------------------------------------------

output "versions_command" {
  description = "Lists when each version of $KEY was stored, the newest first, with its size and whether it is the one that holds. KEY=highlights/2025-03-09.json"
  value = join(" ", [
    "${local.cli} s3api list-object-versions --bucket ${aws_s3_bucket.archive.bucket} --prefix \"${local.prefix}$KEY\"",
    "--query \"Versions[?Key=='${local.prefix}$KEY'].[LastModified,Size,IsLatest]\" --output text",
  ])
}

output "restore_command" {
  description = "Makes $KEY again what it was at $AT, as a new version. AT=2025-03-10T18:00:00Z (UTC)"
  value = join(" && ", [
    join(" ", [
      "VERSION=$(${local.cli} s3api list-object-versions --bucket ${aws_s3_bucket.archive.bucket} --prefix \"${local.prefix}$KEY\" --no-paginate",
      "--query \"Versions[?Key=='${local.prefix}$KEY' && LastModified<='$AT'] | [0].VersionId\" --output text)",
    ]),
    "{ [ \"$VERSION\" != None ] || { echo \"There was no $KEY at $AT (versions_command lists what there was).\" >&2; false; }; }",
    join(" ", [
      "${local.cli} s3api copy-object --bucket ${aws_s3_bucket.archive.bucket} --key \"${local.prefix}$KEY\"",
      "--copy-source \"${aws_s3_bucket.archive.bucket}/${local.prefix}$KEY?versionId=$VERSION\" --query CopyObjectResult.LastModified --output text",
    ]),
  ])
}

output "download_command" {
  description = "Copies the whole archive, as plain files, into the folder data."
  value       = "${local.cli} s3 sync s3://${aws_s3_bucket.archive.bucket}/${local.prefix} data --exclude '${local.logs_prefix}*' --exclude '.*' --exclude '*/.*'"
}

output "restore_table_command" {
  description = "Makes the table $TABLE, with the rows as they were at $AT in the last 35 days, and waits for it. AT=2025-03-10T18:00:00Z (UTC)"
  value = join(" && ", [
    "${local.cli} dynamodb restore-table-to-point-in-time --source-table-name ${aws_dynamodb_table.highlights.name} --target-table-name \"$TABLE\" --restore-date-time \"$AT\" --query TableDescription.TableStatus --output text",
    "${local.cli} dynamodb wait table-exists --table-name \"$TABLE\"",
  ])
}
