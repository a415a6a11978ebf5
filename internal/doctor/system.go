package doctor

import (
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"strconv"
	"strings"
	"time"
)

// spare is how many files there are beside those of boards: the store, the log, HTTP.
const spare = 64

// descriptors compares how many files may be open with how many boards there may be.
func (l *look) descriptors() {
	wanted, auto := 0, false
	for i := range l.c.Listeners {
		if n := l.c.Listeners[i].Limits.Connections; n > 0 {
			wanted += int(n)
		} else {
			auto = true
		}
	}
	l.boards, l.chosen = wanted, !auto && wanted > 0
	if l.m.Descriptors == nil {
		l.cannot("descriptors", "how many files may be open")
	} else if limit, err := l.m.Descriptors(); err != nil {
		l.cannot("descriptors", "how many files may be open")
	} else {
		room := max(limit-spare, limit/2)
		if auto {
			l.boards = max(l.boards, min(room, int(l.c.Devices.Max)))
		}
		raise := fmt.Sprintf("ulimit -n %d before serve, and LimitNOFILE=%[1]d in the [Service] of systemd", max(262144, nextPower(wanted+spare)))
		found := plural(limit, "file") + " may be open, which is room for " + plural(room, "board")
		switch {
		case wanted > room:
			l.say("descriptors", Problem, found+", and limits.connections says "+thousands(wanted),
				"the boards beyond cannot connect, whatever the configuration says", raise)
		case room < 8192:
			l.say("descriptors", Warning, found,
				"every connection is an open file; more boards than that are turned away", raise)
		default:
			l.say("descriptors", OK, found, "a service has a limit of its own: LimitNOFILE in systemd", "")
		}
	}
	l.openFiles(wanted)
}

// openFiles looks at what all of the machine may open.
func (l *look) openFiles(wanted int) {
	most, ok := l.sysctl("fs.file-max")
	perProcess, ok2 := l.sysctl("fs.nr_open")
	if !ok || !ok2 {
		l.cannot("open files", "how many files the machine may open")
		return
	}
	used, _ := l.number("proc/sys/fs/file-nr")
	found := "the machine may open " + many(most) + ", one process " + many(perProcess) + ", " + thousands(used) + " are open"
	switch need := max(wanted, l.boards) + spare; {
	case perProcess < wanted+spare:
		l.say("open files", Problem, found, "no limit of the process can be higher than fs.nr_open",
			fmt.Sprintf("sysctl -w fs.nr_open=%d", nextPower(wanted+spare)))
	case most-used < need:
		l.say("open files", Warning, found, "when the machine has no more files, nothing on it can open one",
			fmt.Sprintf("sysctl -w fs.file-max=%d", nextPower(used+2*need)))
	default:
		l.say("open files", OK, found, "", "")
	}
}

func many(n int) string {
	if int64(n) >= 1<<40 || n == math.MaxInt {
		return "any number"
	}
	return thousands(n)
}

func nextPower(n int) int {
	p := 1024
	for p < n {
		p *= 2
	}
	return p
}

// backlog looks at how many connections may wait to be accepted.
func (l *look) backlog() {
	queue, ok := l.sysctl("net.core.somaxconn")
	if !ok {
		l.cannot("accept queue", "how many connections may wait to be accepted")
		return
	}
	syn, _ := l.sysctl("net.ipv4.tcp_max_syn_backlog")
	found := fmt.Sprintf("%s connections may wait to be accepted (net.core.somaxconn), %s to be complete (net.ipv4.tcp_max_syn_backlog)", thousands(queue), thousands(syn))
	means := "after a power cut all boards connect at once; those that find no place try again after 1, 3 and 7 seconds"
	switch {
	case queue < 1024:
		l.say("accept queue", Warning, found, means, "sysctl -w net.core.somaxconn=4096 net.ipv4.tcp_max_syn_backlog=4096, and in /etc/sysctl.d to keep it; then start serve again")
	case syn < 512:
		l.say("accept queue", Note, found, means, "sysctl -w net.ipv4.tcp_max_syn_backlog=4096")
	default:
		l.say("accept queue", OK, found, "", "")
	}
}

// ports looks at how many connections the machine may make to one address.
func (l *look) ports() {
	span := l.numbers("proc/sys/net/ipv4/ip_local_port_range")
	if len(span) != 2 || span[1] < span[0] {
		l.cannot("own ports", "how many connections the machine may make")
		return
	}
	n := span[1] - span[0] + 1
	found := fmt.Sprintf("ports %d to %d, for %s to one address", span[0], span[1], plural(n, "connection"))
	const means = "boards that connect from elsewhere need none of these; a simulated fleet, a benchmark, or a proxy in front on this machine needs one for each connection"
	if n < 16384 {
		l.say("own ports", Warning, found, means, `sysctl -w net.ipv4.ip_local_port_range="15000 65000", which leaves the ports of serve out`)
		return
	}
	for i := range l.c.Listeners {
		_, text, _ := strings.Cut(string(l.c.Listeners[i].Address[strings.LastIndex(string(l.c.Listeners[i].Address), ":"):]), ":")
		if port, err := strconv.Atoi(text); err == nil && span[0] <= port && port <= span[1] && !l.reserved(port) {
			l.say("own ports", Note, found+"; port "+text+" of listener "+l.c.Listeners[i].Name+" is one of them",
				"a program that makes connections may be given that port just when serve starts",
				"sysctl -w net.ipv4.ip_local_reserved_ports="+text)
			return
		}
	}
	l.say("own ports", OK, found, "", "")
}

// reserved reports whether the kernel gives a port to nobody who does not ask for it.
func (l *look) reserved(port int) bool {
	b, _ := fs.ReadFile(l.m.Files, "proc/sys/net/ipv4/ip_local_reserved_ports")
	for part := range strings.SplitSeq(strings.TrimSpace(string(b)), ",") {
		first, last, ranged := strings.Cut(part, "-")
		from, err := strconv.Atoi(first)
		to := from
		if ranged {
			to, _ = strconv.Atoi(last)
		}
		if err == nil && from <= port && port <= to {
			return true
		}
	}
	return false
}

// keepAlive says who notices that a board has vanished.
func (l *look) keepAlive() {
	var silent []string
	for i := range l.c.Listeners {
		if l.c.Listeners[i].Times.Ping == 0 {
			silent = append(silent, l.c.Listeners[i].Name)
		}
	}
	idle, ok := l.sysctl("net.ipv4.tcp_keepalive_time")
	found := "longwire sets its own for each connection: a probe after 15 s without data, the end after 40 s without an answer"
	if ok {
		found += fmt.Sprintf("; the machine's, %s, is for other programs", time.Duration(idle)*time.Second)
	}
	if len(silent) > 0 {
		l.say("keep-alive", Note, found+"; times.ping is off on "+strings.Join(silent, " and "),
			"a proxy or a router on the way may answer probes for a board that is gone; only a ping is answered by the board itself",
			"set times.ping to 30s, if the boards know pings")
		return
	}
	l.say("keep-alive", OK, found, "", "")
}

// conntrack looks at the table of connections of the firewall.
func (l *look) conntrack() {
	most, ok := l.sysctl("net.netfilter.nf_conntrack_max")
	if !ok {
		if l.m.OS == "linux" {
			l.say("connection tracking", OK, "nf_conntrack is not loaded here, or not to be seen", "", "")
		} else {
			l.cannot("connection tracking", "the firewall's table of connections")
		}
		return
	}
	used, _ := l.sysctl("net.netfilter.nf_conntrack_count")
	idle, timed := l.sysctl("net.netfilter.nf_conntrack_tcp_timeout_established")
	found := fmt.Sprintf("nf_conntrack has %s, %s are taken", plural(most, "place"), thousands(used))
	change := fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d, and in /etc/sysctl.d to keep it", max(262144, nextPower(2*(used+l.boards))))
	const means = "when the table is full the kernel drops packets of new connections, and the boards see nothing but silence"
	switch {
	case 10*used >= 9*most:
		l.say("connection tracking", Problem, found, means, change)
	case l.chosen && most-used < l.boards || most < 16384:
		l.say("connection tracking", Warning, found+", and there may be "+plural(l.boards, "board"), means, change)
	case timed && idle < 60:
		l.say("connection tracking", Warning, found+fmt.Sprintf("; a connection is forgotten after %d s without data", idle),
			"boards that are silent for longer are cut off", "sysctl -w net.netfilter.nf_conntrack_tcp_timeout_established=7200")
	default:
		l.say("connection tracking", OK, found, "", "")
	}
}

// socketBytes is what the kernel may hold for a connection on which something waits.
const socketBytes = 8 << 10

// sockets looks at how much memory the kernel has for what waits in connections.
func (l *look) sockets() {
	limits := l.numbers("proc/sys/net/ipv4/tcp_mem")
	if len(limits) != 3 {
		l.cannot("socket memory", "how much the kernel holds for connections")
		return
	}
	page := int64(os.Getpagesize())
	most := int64(limits[2]) * page
	found := "what waits in all connections of the machine may take " + size(most) + " (net.ipv4.tcp_mem)"
	if need := int64(l.boards) * socketBytes; most < need {
		l.say("socket memory", Warning, found+", for "+plural(l.boards, "board"), "beyond that the kernel drops what arrives, and ends connections",
			fmt.Sprintf(`sysctl -w net.ipv4.tcp_mem="%d %d %d"`, need/page, need/page*5/4, need/page*3/2))
		return
	}
	l.say("socket memory", OK, found, "", "")
}

// memory compares what the boards need with what there is.
func (l *look) memory() {
	total, ok := l.memTotal()
	if !ok {
		l.cannot("memory", "how much memory there is")
		return
	}
	have, what := total, "the machine has "+size(total)
	limit, limited := l.cgroup("memory.max", "memory/memory.limit_in_bytes")
	if limited = limited && limit < total; limited {
		have, what = limit, "this process may use "+size(limit)+" (cgroup), the machine has "+size(total)
	}
	need := int64(l.boards) * boardBytes
	for i := range l.c.Listeners {
		if l.c.Listeners[i].TLS != nil || l.m.OS != "linux" {
			need = int64(l.boards) * (boardBytes + portableBytes)
		}
	}
	need += 64 << 20
	set := l.m.Getenv("GOMEMLIMIT")
	gomem, known := parseMemory(set)
	found := fmt.Sprintf("%s; %s that rest take about %s, and the kernel some more for their sockets", what, plural(l.boards, "board"), size(need))
	suggest := fmt.Sprintf("GOMEMLIMIT=%dMiB in the environment of serve", have/10*8>>20)
	const means = "with GOMEMLIMIT, longwire holds less for slow boards and takes no more connections before the kernel kills it"
	switch {
	case need > have:
		status, change := Warning, fmt.Sprintf("set limits.connections to at most %d, or give it more memory", max(1, (have-64<<20)*int64(l.boards)/need))
		if l.chosen {
			status = Problem
		}
		l.say("memory", status, found, "they do not fit", change)
	case set != "" && !known:
		l.say("memory", Problem, fmt.Sprintf("GOMEMLIMIT is %.40q, which is no size", set), "serve does not start with it", suggest)
	case known && gomem > have:
		l.say("memory", Warning, found+"; GOMEMLIMIT is "+size(gomem), "the kernel kills the process before that is reached", suggest)
	case !known && limited:
		l.say("memory", Warning, found+"; GOMEMLIMIT is not set", means, suggest)
	case !known:
		l.say("memory", Note, found+"; GOMEMLIMIT is not set", means, suggest)
	default:
		l.say("memory", OK, found+"; GOMEMLIMIT is "+size(gomem), "", "")
	}
}

// memTotal returns the bytes of memory of the machine.
func (l *look) memTotal() (int64, bool) {
	b, err := fs.ReadFile(l.m.Files, "proc/meminfo")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			n, err := strconv.ParseInt(strings.Fields(rest + " 0")[0], 10, 64)
			return n << 10, err == nil && n > 0
		}
	}
	return 0, false
}

// cgroup returns the lowest limit of the control groups that the process is in: v2 has
// them in one tree, v1 in one for each kind.
func (l *look) cgroup(v2, v1 string) (int64, bool) {
	b, err := fs.ReadFile(l.m.Files, "proc/self/cgroup")
	if err != nil {
		return 0, false
	}
	lowest, found := int64(math.MaxInt64), false
	for line := range strings.Lines(string(b)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		kind, file := path.Split(v1)
		base := "sys/fs/cgroup"
		if parts[0] == "0" && parts[1] == "" {
			file = v2
		} else if parts[1]+"/" == kind {
			base = path.Join(base, kind)
		} else {
			continue
		}
		for dir := strings.Trim(parts[2], "/"); ; dir = path.Dir(dir) {
			if n, ok := l.number(path.Join(base, dir, file)); ok && n > 0 && n < math.MaxInt/2 {
				lowest, found = min(lowest, int64(n)), true
			}
			if dir == "." || dir == "" || dir == "/" {
				break
			}
		}
	}
	return lowest, found
}

// parseMemory reads a size as GOMEMLIMIT has it. Off counts as none.
func parseMemory(text string) (int64, bool) {
	digits := strings.TrimRight(text, "BKMGTi")
	shift, ok := map[string]int{"": 0, "B": 0, "KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40}[text[len(digits):]]
	n, err := strconv.ParseInt(digits, 10, 64)
	return n << shift, ok && err == nil && n > 0
}

// processors says how many there are.
func (l *look) processors() {
	found := plural(l.m.CPUs, "processor")
	if l.m.CPUs == 1 {
		l.say("processors", Note, found, "it is enough for some thousand boards; a program that asks them on the same machine takes its share", "")
		return
	}
	l.say("processors", OK, found, "", "")
}

// clock looks at whether the clock is kept right.
func (l *look) clock() {
	if l.m.Clock == nil {
		l.cannot("clock", "whether the clock is kept right")
		return
	}
	synchronised, wrong, err := l.m.Clock()
	const means = "commands expire, certificates and tokens are judged, and events are dated by it; a clock that jumps makes commands expire early or late"
	switch {
	case err != nil:
		l.cannot("clock", "whether the clock is kept right")
	case l.m.Now().Year() < 2025:
		l.say("clock", Problem, "it is "+l.m.Now().UTC().Format(time.RFC3339)+", years ago", means, "set the clock; timedatectl set-ntp true")
	case !synchronised:
		l.say("clock", Warning, "the kernel says that nothing keeps the clock right", means,
			"timedatectl set-ntp true, or install chrony; in a container or a virtual machine the host may do it without telling")
	case wrong > time.Second:
		l.say("clock", Warning, fmt.Sprintf("it is kept right, and may be wrong by %v", wrong.Round(time.Millisecond)), means, "chronyc tracking, or timedatectl timesync-status, tells why")
	default:
		l.say("clock", OK, fmt.Sprintf("it is kept right, to %v", wrong.Round(time.Microsecond)), "", "")
	}
}

// settings repeats what the configuration warns of, and looks at what is open to others.
func (l *look) settings(file string) {
	n := 0
	for _, w := range l.c.Warnings() {
		l.say("configuration", Warning, w.Error(), "", "")
		n++
	}
	if file != "" && l.m.OS != "windows" && l.secrets() {
		if info, err := l.m.Stat(file); err == nil && info.Mode().Perm()&0o007 != 0 {
			l.say("configuration", Warning, fmt.Sprintf("%s has tokens in it, and mode %04o", file, info.Mode().Perm()),
				"everybody on this machine may read it; a hash of a weak token can be guessed", "chmod 640 "+file)
			n++
		}
	}
	for i := range l.c.Listeners {
		if a := &l.c.Listeners[i]; a.AllowAnonymous && !a.Address.Loopback() {
			l.say("configuration", Note, "listener "+a.Name+" lets anybody in who reaches "+string(a.Address), "whoever connects is a board", "set login, or see that only boards reach that port")
			n++
		}
	}
	if n == 0 {
		l.say("configuration", OK, "nothing speaks against it", "", "")
	}
}

// secrets reports whether there are hashes of tokens, or URLs that may have a password.
func (l *look) secrets() bool {
	c := l.c
	if len(c.HTTP.Tokens) > 0 || strings.Contains(string(c.Store.URL), "@") {
		return true
	}
	for i := range c.Listeners {
		if len(c.Listeners[i].Login.Tokens) > 0 {
			return true
		}
	}
	return strings.Contains(string(c.Forward.URL)+string(c.Events.Deliver.URL), "@")
}
