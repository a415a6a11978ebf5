package doctor

import (
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

func (m *Machine) system() {
	m.Descriptors, m.Clock, m.Disk, m.Sync, m.Bind = descriptors, clock, disk, syncs, bind
}

// nameless makes a file that never has a name, where the file system can.
func nameless(dir string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return unlinked(dir)
	}
	return os.NewFile(uintptr(fd), "a nameless file in "+dir), nil
}

// clock asks the kernel what it knows of the clock; with no mode set that changes nothing.
func clock() (bool, time.Duration, error) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return false, 0, err
	}
	return state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0, time.Duration(t.Esterror) * time.Microsecond, nil
}

// kinds are the file systems that there is something to say about, and the usual ones.
var kinds = map[int64]string{
	unix.TMPFS_MAGIC:           "tmpfs",
	unix.RAMFS_MAGIC:           "ramfs",
	unix.OVERLAYFS_SUPER_MAGIC: "overlay",
	unix.NFS_SUPER_MAGIC:       "nfs",
	unix.CIFS_SUPER_MAGIC:      "cifs",
	unix.SMB2_SUPER_MAGIC:      "smb2",
	unix.FUSE_SUPER_MAGIC:      "fuse",
	unix.V9FS_MAGIC:            "9p",
	unix.EXT4_SUPER_MAGIC:      "ext4",
	unix.XFS_SUPER_MAGIC:       "xfs",
	unix.BTRFS_SUPER_MAGIC:     "btrfs",
	unix.F2FS_SUPER_MAGIC:      "f2fs",
	0x2fc12fc1:                 "zfs",
}

func disk(dir string) (Disk, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return Disk{}, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	kind, ok := kinds[int64(uint32(st.Type))]
	if !ok {
		kind = fmt.Sprintf("a file system of kind %#x", uint32(st.Type))
	}
	return Disk{
		Type:     kind,
		Free:     int64(st.Bavail) * int64(st.Bsize),
		Writable: unix.Access(dir, unix.W_OK|unix.X_OK) == nil && st.Flags&unix.ST_RDONLY == 0,
	}, nil
}

// bind takes an address for a moment, without listening on it: nobody can connect.
func bind(address string) error {
	a, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return err
	}
	family, to := unix.AF_INET, unix.Sockaddr(nil)
	if ip := a.IP.To4(); ip != nil {
		to = &unix.SockaddrInet4{Port: a.Port, Addr: [4]byte(ip)}
	} else {
		in := &unix.SockaddrInet6{Port: a.Port}
		copy(in.Addr[:], a.IP) // none is all of them, of IPv4 too
		if zone, err := net.InterfaceByName(a.Zone); err == nil {
			in.ZoneId = uint32(zone.Index)
		}
		family, to = unix.AF_INET6, in
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == unix.EAFNOSUPPORT && a.IP == nil {
		to = &unix.SockaddrInet4{Port: a.Port}
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	// As package net does, so that connections that are ending are not in the way.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	return unix.Bind(fd, to)
}
