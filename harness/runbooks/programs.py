"""What programs are: names an operator's shell has, and which of them are words, open a session, or need an operand."""

import re


def names(text: str) -> frozenset[str]:
    """The words of `text`, as a set."""
    return frozenset(text.split())


_GNU = """
awk base64 basename bash bc bunzip2 bzip2 cat cd chgrp chmod chown cksum cmp comm cp crontab csplit cut date dd df diff dig
dirname dmesg du echo egrep env exec exit export expr false fgrep file find fold free fsck fuser getent grep groupadd groups
gunzip gzip head hexdump host hostname hostnamectl htop id ifconfig iostat iotop ip iptables jobs join journalctl jq kill
killall last ldd less ln locale logger logrotate logname ls lsblk lscpu lsof ltrace lvextend lvs lvremove make man md5sum
mkdir mkfifo mkfs mktemp modprobe more mount mountpoint mpstat mv nano nc ncat netstat nft nice nl nohup nproc nslookup od
passwd paste patch perf pgrep pidof ping pkill popd printenv printf ps pushd pv pvs pwd read readlink realpath reboot rename
renice resize2fs rm rmdir route rsync sar scp screen sed seq service set sftp sh sha256sum sha1sum shred shuf shutdown sleep
socat sort source split ss ssh ssh-add ssh-copy-id ssh-keygen stat strace strings su sudo swapoff swapon sync sysctl
systemctl tac tail tar tcpdump tee test time timedatectl timeout tmux top touch tr traceroute trap true truncate tty type
ufw ulimit umount unalias alias uname uniq unlink unset unzip uptime useradd usermod vgs vi vim visudo vmstat w watch wc wget
which who whoami xargs xz yes zcat zgrep zip xfs_growfs growpart telnet mail eval wait disown unshare nsenter chroot
"""
_CLOUD = """
aws az bq cf doctl eb eksctl flyctl fly gcloud gsutil heroku ibmcloud oci s3cmd rclone vercel netlify railway wrangler
saml2aws aws-vault kops terraform terragrunt tofu packer pulumi ansible ansible-playbook ansible-vault vault consul nomad
sops op gh glab git hub svn
"""
_CONTAINERS = """
kubectl k oc helm helmfile kustomize kind minikube k3s k9s kubeadm kubectx kubens kubeseal stern flux argocd argo istioctl
linkerd cilium calicoctl velero tkn skaffold tilt docker docker-compose podman podman-compose buildah skopeo crictl ctr nerdctl
rancher tsh cosign trivy grype syft logcli amtool promtool mimirtool cortextool jsonnet jb kubeval kubeconform
"""
_DATA = """
psql pg_dump pg_dumpall pg_restore pg_ctl pg_ctlcluster pg_lsclusters pg_isready pg_basebackup pg_controldata pg_rewind
pg_resetwal pg_upgrade pg_receivewal pg_archivecleanup pg_verifybackup pg_waldump pg_amcheck pgbench createdb dropdb createuser
dropuser vacuumdb reindexdb clusterdb initdb pgbackrest barman wal-g wal-e patronictl repmgr pgbouncer pgcli
mysql mysqladmin mysqldump mysqlimport mysqlcheck mysqlbinlog mysqlsh mariadb mariadb-dump mariadb-admin xtrabackup mariabackup
mongo mongosh mongodump mongorestore mongoexport mongoimport mongostat mongotop pbm
redis-cli redis-server redis-benchmark redis-check-aof redis-check-rdb valkey-cli sqlite3 clickhouse clickhouse-client cqlsh
nodetool cockroach influx etcdctl etcdutl rabbitmqctl rabbitmq-diagnostics rabbitmqadmin nats kafka-topics kcat kafkacat zkcli
kafka-consumer-groups kafka-console-consumer kafka-console-producer kafka-configs sqlcmd sqlplus snowsql duckdb
"""
_LANGUAGES = """
python python2 python3 pip pip3 pipenv poetry uv uvx pytest tox nox flask gunicorn uvicorn celery alembic django-admin conda
node npm npx yarn pnpm bun deno pm2 ruby bundle gem rails rake bin/rails bin/rake java javac mvn gradle keytool jps jstack
jmap jcmd go cargo rustc php composer artisan perl dotnet mix elixir iex erl R Rscript sbt scala bandit eslint ruff mypy
prisma sequelize knex flyway liquibase goose migrate
"""
_SERVICES = """
nginx apachectl apache2ctl a2ensite haproxy caddy certbot openssl step supervisorctl monit curl http httpie grpcurl wrk ab hey k6
locust vegeta siege artillery apt apt-get apt-cache aptitude dpkg yum dnf rpm apk brew snap zypper pacman choco dconf
postfix postqueue postsuper systemd-analyze firewall-cmd nmcli mdadm smartctl zpool zfs ceph rbd gluster drbdadm pcs crm
chronyc ntpq ethtool arp mtr nmap iperf iperf3 tc virsh qm pct vault-cli view ex vimdiff pgrep
"""

KNOWN = names(f"{_GNU} {_CLOUD} {_CONTAINERS} {_DATA} {_LANGUAGES} {_SERVICES}")
"""Programs recognised by name alone."""


WORDS = names("""
    alias at comm compare convert cut date dd diff disown echo env exec exit expand expr false file find flux fold free
    groups head host hub id install ip job jobs join kill last less link locale look mail make man migrate mix monit
    more mount nice op open paste patch perl ping popd pr print ps read rename reset route screen script see select service set
    sleep snap sort source split stat step strings sync tail tee test tilt time timeout top touch trap true type unset
    view ex vault wait watch which who write yes kind go node consul nomad packer rake salt chef puppet pass hey http java ruby
    fly rancher rails service su w k R ab goose flyway crm barman bun tc split
    """)
"""Names that are English words as well: outside a shell fence they need more evidence."""

KEYWORDS = names("for while until if case function select { ( [[ [ ! time")
"""Words that open a compound command."""

OPERATOR = names(
    "kubectl k oc helm helmfile aws az gcloud gsutil terraform docker docker-compose podman "
    "stern argocd flux eksctl velero"
)
"""Programs that run on the operator's machine: they end a session inside a container."""

LAUNCHERS = names("sudo nohup time env command exec xargs nice watch timeout doas stdbuf setsid flock chroot")
"""Programs whose operands are another command line."""

CLIS = names(
    "kubectl k oc helm docker podman docker-compose aws az gcloud gsutil terraform tofu velero "
    "trivy ansible promtool amtool pg_dump pg_restore"
    " pg_basebackup rsync scp argocd flux istioctl eksctl gh heroku flyctl"
)
"""Programs whose sub-commands act on something: without it their name in prose is a mention."""

SHELLS = names("bash sh zsh ash dash ksh /bin/bash /bin/sh /bin/ash /bin/zsh /usr/bin/bash fish")
"""Shells."""

CONSOLES = {
    "psql": ("-c", "--command", "-f", "--file", "-l", "--list", "--version", "-V", "--help"),
    "mysql": ("-e", "--execute", "--version", "-V", "--help"),
    "mariadb": ("-e", "--execute", "--version", "--help"),
    "mongo": ("--eval", "--version", "--help"),
    "mongosh": ("--eval", "-f", "--file", "--version", "--help"),
    "clickhouse-client": ("-q", "--query", "--queries-file", "--version"),
    "cqlsh": ("-e", "--execute", "-f", "--file", "--version"),
    "sqlcmd": ("-Q", "-q", "-i"),
    "sqlplus": (),
    "pgcli": ("--version", "-l"),
}
"""Database consoles, and the options that make them run something and end."""

PYTHONS = names("python python3 ipython")
"""Python interpreters: interactive without a script."""

PERSONAL = names(
    "vi vim view nano emacs less more htop visudo passwd k9s tmux screen irb pry ipython iex "
    "iotop top mc ncdu telnet pgbouncer-cli gdb lldb sftp ftp man tig vimdiff ed cfdisk nmtui "
    "mysql_secure_installation dpkg-reconfigure"
)
"""Programs that are of no use without a person at a terminal."""


def base(program: str) -> str:
    """Its name without the folder."""
    return program.rsplit("/", 1)[-1] or program


def known(word: str) -> bool:
    """Whether it names a program: by name, or by the shape that control programs have (`…ctl`, `…-cli`, `…adm`)."""
    return word in KNOWN or (len(word) > 5 and re.fullmatch(r"[a-z][a-z0-9_-]*(?:ctl|-cli|adm)", word) is not None)
