# Who may talk to whom. No rule lets anything in from outside the network: the UI is reached through Session Manager.

resource "aws_security_group" "tasks" {
  name        = "${var.project_name}-tasks"
  description = "ECS tasks: out to the web and to the database, nothing in"
  vpc_id      = aws_vpc.main.id

  tags = { Name = "${var.project_name}-tasks" }

  lifecycle {
    create_before_destroy = true
  }
}

# Clips lie on hosts that nobody knows beforehand, and some of them are on plain http.
resource "aws_vpc_security_group_egress_rule" "web" {
  for_each = { https = 443, http = 80 }

  security_group_id = aws_security_group.tasks.id
  description       = "AWS, the API and the hosts of the clips, by ${each.key}"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = each.value
  to_port           = each.value
}

resource "aws_vpc_security_group_egress_rule" "to_database" {
  security_group_id            = aws_security_group.tasks.id
  description                  = "The database of the runs"
  referenced_security_group_id = aws_security_group.database.id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

resource "aws_security_group" "database" {
  name        = "${var.project_name}-database"
  description = "Postgres: in from the tasks, nothing out"
  vpc_id      = aws_vpc.main.id

  tags = { Name = "${var.project_name}-database" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "from_tasks" {
  security_group_id            = aws_security_group.database.id
  description                  = "The tasks of the cluster"
  referenced_security_group_id = aws_security_group.tasks.id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}
