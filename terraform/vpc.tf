# A network of two zones. Tasks stand in public subnets, because a NAT gateway would cost more than all the rest; nothing
# can reach them from outside (security.tf). The database stands in private subnets, which have no way out or in.

data "aws_availability_zones" "available" {
  #checkov:skip=CKV_AWS_394: of the sorted names the first two are taken, whichever zones are added behind them

  state = "available"

  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }

  # Where Fargate is not (ECS developer guide, "Supported Regions for Amazon ECS on AWS Fargate").
  exclude_zone_ids = ["apne1-az3", "cnn1-az3", "cnn1-az4", "usw1-az2"]

  lifecycle {
    postcondition {
      condition     = length(self.names) >= 2
      error_message = "${var.aws_region} has fewer than two zones with Fargate that this account may use, and a database's network takes two: choose another aws_region."
    }
  }
}

locals {
  zones = slice(sort(data.aws_availability_zones.available.names), 0, 2)
}

resource "aws_vpc" "main" {
  #checkov:skip=CKV2_AWS_11: flow logs cost more than the network carries; nothing can come in, and what goes out is in the logs of the tasks

  cidr_block           = var.vpc_cidr
  enable_dns_support   = true
  enable_dns_hostnames = true

  tags = { Name = var.project_name }
}

# AWS makes one that lets its members talk to each other; nothing here uses it, so it lets through nothing.
resource "aws_default_security_group" "unused" {
  vpc_id = aws_vpc.main.id

  tags = { Name = "${var.project_name}-unused" }
}

resource "aws_internet_gateway" "main" {
  vpc_id = aws_vpc.main.id

  tags = { Name = var.project_name }
}

# A subnet stays in the zone that it was made in, whichever zones there are later: another one would be a new subnet with
# the addresses of the old, in which the database stands.
resource "aws_subnet" "public" {
  count = 2

  vpc_id                  = aws_vpc.main.id
  cidr_block              = cidrsubnet(var.vpc_cidr, 4, count.index)
  availability_zone       = local.zones[count.index]
  map_public_ip_on_launch = false # a task asks for its address itself

  tags = { Name = "${var.project_name}-public-${count.index + 1}" }

  lifecycle {
    ignore_changes = [availability_zone]
  }
}

resource "aws_subnet" "private" {
  count = 2

  vpc_id            = aws_vpc.main.id
  cidr_block        = cidrsubnet(var.vpc_cidr, 4, count.index + 2)
  availability_zone = local.zones[count.index]

  tags = { Name = "${var.project_name}-private-${count.index + 1}" }

  lifecycle {
    ignore_changes = [availability_zone]
  }
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.main.id

  tags = { Name = "${var.project_name}-public" }
}

resource "aws_route" "out" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.main.id
}

resource "aws_route_table_association" "public" {
  count = 2

  subnet_id      = aws_subnet.public[count.index].id
  route_table_id = aws_route_table.public.id
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.main.id

  tags = { Name = "${var.project_name}-private" }
}

resource "aws_route_table_association" "private" {
  count = 2

  subnet_id      = aws_subnet.private[count.index].id
  route_table_id = aws_route_table.private.id
}

# Videos and rows stay in AWS's own network, and gateway endpoints cost nothing.
resource "aws_vpc_endpoint" "gateway" {
  for_each = toset(["s3", "dynamodb"])

  vpc_id            = aws_vpc.main.id
  service_name      = "com.amazonaws.${var.aws_region}.${each.key}"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.public.id]

  tags = { Name = "${var.project_name}-${each.key}" }
}
