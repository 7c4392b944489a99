# What a plan says, without an AWS account: `terraform test`. The provider is a mock; the few ARNs that policies name are
# given, so that a policy can be read before anything is made. What AWS would store is looked at in
# ncaa_assets_tests/deployment/test_terraform.py.

mock_provider "aws" {
  mock_data "aws_availability_zones" {
    defaults = { names = ["us-east-1c", "us-east-1a", "us-east-1b"] }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_iam_roles" {
    defaults = { arns = ["arn:aws:iam::123456789012:role/aws-service-role/some"] }
  }
  mock_data "aws_resourcegroupstaggingapi_resources" {
    defaults = { resource_tag_mapping_list = [] }
  }
  mock_data "aws_cloudwatch_log_groups" {
    defaults = { log_group_names = [] }
  }
  mock_data "aws_ecr_image" {
    defaults = { image_digest = "sha256:0000" }
  }
  mock_data "aws_secretsmanager_secret_versions" {
    defaults = {
      name     = "my-api-key"
      versions = [{ version_stages = ["AWSCURRENT"] }]
    }
  }

  mock_resource "aws_s3_bucket" {
    override_during = plan
    defaults        = { arn = "arn:aws:s3:::archive" }
  }
  mock_resource "aws_dynamodb_table" {
    override_during = plan
    defaults        = { arn = "arn:aws:dynamodb:us-east-1:123456789012:table/rows" }
  }
  mock_resource "aws_ecr_repository" {
    override_during = plan
    defaults = {
      arn            = "arn:aws:ecr:us-east-1:123456789012:repository/ncaa-assets"
      repository_url = "123456789012.dkr.ecr.us-east-1.amazonaws.com/ncaa-assets"
    }
  }
  mock_resource "aws_ecs_cluster" {
    override_during = plan
    defaults        = { arn = "arn:aws:ecs:us-east-1:123456789012:cluster/ncaa-assets" }
  }
  mock_resource "aws_ecs_task_definition" {
    override_during = plan
    defaults = {
      arn                  = "arn:aws:ecs:us-east-1:123456789012:task-definition/some:1"
      arn_without_revision = "arn:aws:ecs:us-east-1:123456789012:task-definition/some"
    }
  }
  mock_resource "aws_cloudwatch_log_group" {
    override_during = plan
    defaults        = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:/ecs/ncaa-assets" }
  }
  mock_resource "aws_iam_role" {
    override_during = plan
    defaults        = { arn = "arn:aws:iam::123456789012:role/some" }
  }
  mock_resource "aws_sns_topic" {
    override_during = plan
    defaults        = { arn = "arn:aws:sns:us-east-1:123456789012:alerts" }
  }
  mock_resource "aws_sns_topic_subscription" {
    override_during = plan
    defaults        = { pending_confirmation = false }
  }
  mock_resource "aws_sqs_queue" {
    override_during = plan
    defaults        = { arn = "arn:aws:sqs:us-east-1:123456789012:not-started" }
  }
}

# Reads the database's password back, which is not there yet in a plan: nothing is ever asked of it.
provider "aws" {
  alias                       = "ephemeral"
  region                      = "us-east-1"
  access_key                  = "nobody"
  secret_key                  = "nobody"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

# A check that fails is a warning to a person, and a failure here.
variables {
  alert_emails = ["you@example.com"]
}

run "without_an_image_nothing_is_started" {
  command = plan

  assert {
    condition     = aws_ecs_service.dagster.desired_count == 0 && aws_scheduler_schedule.catch_up.state == "DISABLED"
    error_message = "Before there is an image, a service or a schedule can only fail in a loop."
  }
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.nothing_backed_up) == 0 && !output.is_started
    error_message = "Before there is an image, the dead man's alarm must not be there: its first change of state would be lost."
  }
}

run "always_on" {
  command = plan

  variables {
    image_tag = "3f2a91c"
  }

  assert {
    condition = (
      aws_ecs_service.dagster.desired_count == 1 &&
      aws_ecs_service.dagster.deployment_minimum_healthy_percent == 0 &&
      aws_ecs_service.dagster.deployment_maximum_percent == 100 &&
      aws_ecs_service.dagster.deployment_circuit_breaker[0].enable
    )
    error_message = "There must be one daemon, never two, and a deployment that fails must end."
  }
  assert {
    condition     = aws_ecs_service.dagster.launch_type == "FARGATE"
    error_message = "EcsRunLauncher fails on a service that uses capacity providers."
  }
  assert {
    condition     = aws_scheduler_schedule.catch_up.state == "ENABLED" && aws_cloudwatch_metric_alarm.nothing_backed_up[0].actions_enabled != false
    error_message = "The safety net and the alarm must be on."
  }
  assert {
    condition     = length(aws_rds_cluster.dagster) == 0 && aws_db_instance.dagster[0].instance_class == "db.t4g.micro"
    error_message = "Around the clock the smallest instance is the cheapest database."
  }
  assert {
    condition = (
      aws_db_instance.dagster[0].storage_encrypted && !aws_db_instance.dagster[0].publicly_accessible &&
      aws_db_instance.dagster[0].deletion_protection && !aws_db_instance.dagster[0].skip_final_snapshot
    )
    error_message = "The database must be encrypted, private and protected."
  }
  assert {
    condition     = aws_db_instance.dagster[0].password == null
    error_message = "The password must go in by its write-only argument."
  }
}

run "an_image_for_another_processor_has_another_tag" {
  command = plan

  variables {
    cpu_architecture = "ARM64"
  }

  assert {
    condition = (
      strcontains(output.push_command, "TAG=$(git rev-parse --short HEAD)-arm64 ") &&
      strcontains(output.push_command, "docker build --platform linux/arm64 ")
    )
    error_message = "An image that the registry has for one processor must not be taken for that of the other."
  }
}

run "not_always_on" {
  command = plan

  variables {
    image_tag = "3f2a91c"
    always_on = false
  }

  assert {
    condition     = aws_ecs_service.dagster.desired_count == 0 && aws_scheduler_schedule.catch_up.state == "ENABLED"
    error_message = "EventBridge alone must start the daily work."
  }
  assert {
    condition = (
      length(aws_db_instance.dagster) == 0 &&
      aws_rds_cluster.dagster[0].serverlessv2_scaling_configuration[0].min_capacity == 0 &&
      aws_rds_cluster.dagster[0].serverlessv2_scaling_configuration[0].seconds_until_auto_pause == 300
    )
    error_message = "The database must pause at zero capacity."
  }
  assert {
    condition = (
      aws_rds_cluster.dagster[0].storage_encrypted && aws_rds_cluster.dagster[0].deletion_protection &&
      !aws_rds_cluster_instance.dagster[0].publicly_accessible && aws_rds_cluster.dagster[0].master_password == null
    )
    error_message = "The database must be encrypted, private and protected, its password nowhere."
  }
}

run "nothing_comes_in" {
  command = plan

  assert {
    condition     = aws_vpc_security_group_ingress_rule.from_tasks.cidr_ipv4 == null && aws_vpc_security_group_ingress_rule.from_tasks.cidr_ipv6 == null
    error_message = "Only the tasks may reach the database."
  }
  assert {
    condition     = sort([for rule in aws_vpc_security_group_egress_rule.web : tostring(rule.from_port)]) == tolist(["443", "80"])
    error_message = "Tasks reach the web by http and https alone."
  }
  assert {
    condition     = aws_subnet.public[0].availability_zone == "us-east-1a" && aws_subnet.public[1].availability_zone == "us-east-1b"
    error_message = "Two zones of the region's list, the same ones at every plan."
  }
  assert {
    condition     = length(setintersection(data.aws_availability_zones.available.exclude_zone_ids, ["apne1-az3", "usw1-az2", "cnn1-az3", "cnn1-az4"])) == 4
    error_message = "A zone without Fargate must not be taken."
  }
  assert {
    condition     = alltrue([for subnet in concat(aws_subnet.public, aws_subnet.private) : subnet.map_public_ip_on_launch != true])
    error_message = "Nothing gets a public address that did not ask for one."
  }
}

run "the_archive_is_kept" {
  command = plan

  assert {
    condition = (
      aws_s3_bucket_versioning.archive.versioning_configuration[0].status == "Enabled" &&
      !aws_s3_bucket.archive.force_destroy &&
      aws_s3_bucket_public_access_block.archive.block_public_acls &&
      aws_s3_bucket_public_access_block.archive.block_public_policy &&
      aws_s3_bucket_public_access_block.archive.ignore_public_acls &&
      aws_s3_bucket_public_access_block.archive.restrict_public_buckets
    )
    error_message = "The bucket must keep versions, refuse to be deleted, and be nobody else's."
  }
  assert {
    condition     = jsondecode(aws_s3_bucket_policy.archive.policy).Statement[0].Condition.Bool["aws:SecureTransport"] == "false"
    error_message = "Nothing without TLS."
  }
  assert {
    condition = (
      aws_dynamodb_table.highlights.deletion_protection_enabled && aws_dynamodb_table.highlights.point_in_time_recovery[0].enabled &&
      aws_dynamodb_table.highlights.billing_mode == "PAY_PER_REQUEST"
    )
    error_message = "The table must be protected and recoverable, and cost nothing by itself."
  }
  assert {
    condition     = aws_ecr_repository.main.image_tag_mutability == "IMMUTABLE" && aws_ecr_repository.main.image_scanning_configuration[0].scan_on_push
    error_message = "A tag must be one image for ever."
  }
  assert {
    condition = tomap({
      for rule in aws_s3_bucket_lifecycle_configuration.archive.rule : rule.filter[0].prefix => rule.noncurrent_version_expiration[0].noncurrent_days
      if length(rule.noncurrent_version_expiration) > 0
    }) == tomap({ "dagster-logs/" = 1, ".leases/" = 1, ".quota/" = 1, ".doctor/" = 1, ".tmp/" = 1, "gallery/" = 3, "processed_videos/.ledger/" = 30 })
    error_message = "Only what is rewritten all the time may lose its earlier versions."
  }
}

run "a_copy_that_was_never_finished_goes" {
  command = plan

  assert {
    condition = one([
      for rule in aws_s3_bucket_lifecycle_configuration.archive.rule : rule.expiration[0].days if rule.id == "versions-of-tmp"
    ]) == 7
    error_message = "What a killed upload leaves must not be kept and paid for."
  }
}

run "nothing_starts_that_nobody_would_hear_of" {
  command = plan

  variables {
    image_tag    = "3f2a91c"
    alert_emails = ["you@example.com", "both@example.com"]
  }

  override_resource {
    target          = aws_sns_topic_subscription.mail
    override_during = plan
    values          = { pending_confirmation = true }
  }

  expect_failures = [terraform_data.ready_to_start, check.every_address_hears_alerts]
}

run "one_address_that_hears_is_enough" {
  command = plan

  variables {
    image_tag    = "3f2a91c"
    alert_emails = ["you@example.com", "both@example.com"]
  }

  override_resource {
    target          = aws_sns_topic_subscription.mail["both@example.com"]
    override_during = plan
    values          = { pending_confirmation = true }
  }

  expect_failures = [check.every_address_hears_alerts]
}

run "before_the_start_a_mail_may_be_unconfirmed" {
  command = plan

  override_resource {
    target          = aws_sns_topic_subscription.mail
    override_during = plan
    values          = { pending_confirmation = true }
  }

  expect_failures = [check.every_address_hears_alerts]
}

run "without_an_address_it_starts_with_a_warning" {
  command = plan

  variables {
    image_tag    = "3f2a91c"
    alert_emails = []
  }

  expect_failures = [check.somebody_hears_alerts]
}

run "the_topic_takes_what_its_own_rules_and_alarms_say" {
  command = plan

  assert {
    condition = alltrue([
      for one in jsondecode(aws_sns_topic_policy.alerts.policy).Statement :
      one.Principal.Service != "events.amazonaws.com" || !contains(keys(one), "Condition")
    ])
    error_message = "EventBridge takes no condition in a topic's policy."
  }
  assert {
    condition     = !strcontains(aws_sns_topic_policy.alerts.policy, "*")
    error_message = "The alarms are named one by one: ncaa-* has those of ncaa-two too."
  }
  assert {
    condition = [for one in [aws_cloudwatch_metric_alarm.not_started, aws_cloudwatch_metric_alarm.database_full[0]] : one.alarm_name] == [
      "ncaa-assets-not-started", "ncaa-assets-database-full",
    ]
    error_message = "Names that exist never change."
  }
}

run "a_fresh_account_is_told_what_it_lacks" {
  command = plan

  override_data {
    target = data.aws_iam_roles.service_linked
    values = { arns = [] }
  }

  expect_failures = [aws_ecs_cluster.main, aws_db_instance.dagster]
}

run "what_another_deployment_has_is_not_taken" {
  command = plan

  override_data {
    target = data.aws_resourcegroupstaggingapi_resources.ours
    values = { resource_tag_mapping_list = [
      { resource_arn = "arn:aws:dynamodb:us-east-1:123456789012:table/SportsHighlights", tags = { Project = "first" } },
      { resource_arn = "arn:aws:ecr:us-east-1:123456789012:repository/ncaa-assets", tags = { Project = "first" } },
      { resource_arn = "arn:aws:s3:::ncaa-assets-123456789012-us-east-1", tags = { Project = "first" } },
    ] }
  }

  expect_failures = [aws_dynamodb_table.highlights, aws_ecr_repository.main, aws_s3_bucket.archive]
}

run "what_it_has_itself_is_its_own" {
  command = plan

  variables {
    tags = { Project = "named by an earlier version" }
  }

  override_data {
    target = data.aws_resourcegroupstaggingapi_resources.ours
    values = { resource_tag_mapping_list = [
      { resource_arn = "arn:aws:dynamodb:us-east-1:123456789012:table/SportsHighlights", tags = { Project = "ncaa-assets" } },
      { resource_arn = "arn:aws:ecr:us-east-1:123456789012:repository/ncaa-assets", tags = { Project = "named by an earlier version" } },
      { resource_arn = "arn:aws:dynamodb:us-east-1:123456789012:table/Another", tags = { Project = "first" } },
      { resource_arn = "arn:aws:s3:::untagged", tags = {} },
    ] }
  }

  assert {
    condition = alltrue([
      for role in [aws_iam_role.run, aws_iam_role.service, aws_iam_role.catch_up, aws_iam_role.execution, aws_iam_role.scheduler, aws_iam_role.mediaconvert[0]] :
      startswith(role.name, "ncaa-assets-us-east-1-")
    ])
    error_message = "Roles have no region, so their names must."
  }
}

run "below_a_prefix_everything_moves_with_it" {
  command = plan

  variables {
    s3_prefix                = "backups/ncaa"
    old_versions_expire_days = 400
  }

  assert {
    condition = alltrue([
      for rule in aws_s3_bucket_lifecycle_configuration.archive.rule : startswith(rule.filter[0].prefix, "backups/ncaa/")
      if rule.id != "dagster-logs" && rule.id != "uploads-that-were-never-finished"
    ])
    error_message = "A rule looks at another place than the archive's."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.mediaconvert[0].policy).Statement : startswith(statement.Resource, "arn:aws:s3:::archive/backups/ncaa/")
    ])
    error_message = "MediaConvert may go no further than the archive."
  }
}

run "each_role_does_what_it_does" {
  command = plan

  assert {
    condition = alltrue(flatten([
      for policy in [aws_iam_role_policy.run, aws_iam_role_policy.service, aws_iam_role_policy.catch_up, aws_iam_role_policy.scheduler] : [
        for statement in jsondecode(policy.policy).Statement : statement.Effect == "Allow" && (
          !contains(flatten([statement.Resource]), "*") ||
          contains(["DescribeDefinitionsAndInterfaces", "OpenSessions", "FindJobs"], statement.Sid)
        )
      ]
    ]))
    error_message = "A statement names every resource without being one of those for which AWS knows no other."
  }
  assert {
    condition = alltrue(flatten([
      for policy in [aws_iam_role_policy.run, aws_iam_role_policy.service, aws_iam_role_policy.catch_up, aws_iam_role_policy.scheduler] : [
        for statement in jsondecode(policy.policy).Statement :
        can(statement.Condition.StringEquals["iam:PassedToService"]) if contains(flatten([statement.Action]), "iam:PassRole")
      ]
    ]))
    error_message = "A role may be passed to one service alone."
  }
  assert {
    condition = alltrue(flatten([
      for policy in [aws_iam_role_policy.run, aws_iam_role_policy.service, aws_iam_role_policy.catch_up, aws_iam_role_policy.scheduler] : [
        for statement in jsondecode(policy.policy).Statement : [for action in flatten([statement.Action]) : !strcontains(action, "*") && !startswith(action, "s3:DeleteObjectVersion")]
      ]
    ]))
    error_message = "Actions are named one by one, and none deletes a version."
  }
}

run "a_role_and_a_queue_of_ones_own" {
  command = plan

  variables {
    mediaconvert_role_arn = "arn:aws:iam::123456789012:role/mine"
    mediaconvert_queue    = "arn:aws:mediaconvert:us-east-1:123456789012:queues/mine"
  }

  assert {
    condition     = length(aws_iam_role.mediaconvert) == 0 && output.mediaconvert_role_arn == "arn:aws:iam::123456789012:role/mine"
    error_message = "A role that is given must be used, and none made."
  }
  assert {
    condition = contains(
      [for statement in jsondecode(aws_iam_role_policy.run.policy).Statement : statement.Resource if statement.Sid == "Encode"],
      "arn:aws:mediaconvert:us-east-1:123456789012:queues/mine",
    )
    error_message = "Jobs go to the queue that is given."
  }
}

run "a_parameter_holds_the_key" {
  command = plan

  # With an image the parameter would be looked up, and mocks know no ephemeral resources.
  variables {
    rapidapi_ssm_parameter_arn = "arn:aws:ssm:us-east-1:123456789012:parameter/ncaa/rapidapi_key"
  }

  assert {
    condition     = length(aws_secretsmanager_secret.api_key) == 0 && output.api_key_secret_arn == var.rapidapi_ssm_parameter_arn
    error_message = "A key that is kept elsewhere needs no secret."
  }
}

run "a_secret_holds_the_key" {
  command = plan

  variables {
    image_tag           = "3f2a91c"
    rapidapi_secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:my-api-key-AbCdEf"
  }

  assert {
    condition     = length(aws_secretsmanager_secret.api_key) == 0 && output.api_key_secret_arn == var.rapidapi_secret_arn
    error_message = "A key that is kept elsewhere needs no secret."
  }
}

run "a_secret_without_a_key_is_told" {
  command = plan

  variables {
    image_tag           = "3f2a91c"
    rapidapi_secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:my-api-key-AbCdEf"
  }

  override_data {
    target = data.aws_secretsmanager_secret_versions.given_api_key
    values = { name = null, versions = [] }
  }

  expect_failures = [terraform_data.ready_to_start]
}

run "a_part_of_a_secrets_arn_is_told" {
  command = plan

  # Its last six characters could be those that AWS put there; the secret itself says that they are not.
  variables {
    image_tag           = "3f2a91c"
    rapidapi_secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:my-secret"
  }

  override_data {
    target = data.aws_secretsmanager_secret_versions.given_api_key
    values = { name = "my-secret", versions = [{ version_stages = ["AWSCURRENT"] }] }
  }

  expect_failures = [data.aws_secretsmanager_secret_versions.given_api_key]
}

run "another_accounts_queue_is_told" {
  command = plan

  variables {
    mediaconvert_queue = "arn:aws:mediaconvert:us-east-1:210987654321:queues/mine"
  }

  expect_failures = [data.aws_caller_identity.current]
}

run "another_accounts_role_is_told" {
  command = plan

  variables {
    mediaconvert_role_arn = "arn:aws:iam::210987654321:role/mine"
  }

  expect_failures = [data.aws_caller_identity.current]
}

run "a_region_with_one_zone_is_told" {
  command = plan

  override_data {
    target = data.aws_availability_zones.available
    values = { names = ["us-east-1a"] }
  }

  expect_failures = [data.aws_availability_zones.available]
}

# Every value of every variable: ncaa_assets_tests/deployment/test_judged_at_plan.py.
run "values_that_cannot_be_meant" {
  command = plan

  variables {
    image_tag = "latest"
    s3_prefix = "dagster-logs"
    timezone  = "Mars/Phobos"
    run_size  = { cpu = 512, memory = 1000 }
    settings  = { VIDEO_CONCURRENCY = "abc" }
  }

  expect_failures = [var.image_tag, var.s3_prefix, var.timezone, var.run_size, var.settings]
}

# These two are the last, for what is made here is in the state of whatever follows.
run "an_apply_breaks_off" {
  command = apply

  plan_options {
    target = [aws_subnet.public, aws_subnet.private, aws_secretsmanager_secret.database]
  }
}

run "it_goes_on_also_when_zones_have_come_and_gone" {
  command = plan

  override_data {
    target = data.aws_availability_zones.available
    values = { names = ["us-east-1d", "us-east-1b"] }
  }

  # That there is a plan at all means that nobody looks for the password which the secret does not have yet.
  assert {
    condition     = [for one in concat(aws_subnet.public, aws_subnet.private) : one.availability_zone] == ["us-east-1a", "us-east-1b", "us-east-1a", "us-east-1b"]
    error_message = "A subnet in another zone is a new one with the addresses of the old: EC2 refuses it while the old one is there."
  }
}
