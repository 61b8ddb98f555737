package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	securejoin "github.com/cyphar/filepath-securejoin"
	"golang.org/x/sys/unix"

	"crmflow.io/node/spec"
)

// root is the container's file system: the machine's own. Where something has to be added to a folder, the
// folder is replaced by one in memory, whose entries are the machine's.
type root struct {
	path string
	// memory are the devices of the folders in memory, volumes the paths of the volumes that are mounted: what
	// is made there is not made on the machine.
	memory  []uint64
	volumes []string
}

// enter makes the container's root out of the machine's and the mounts, and moves into it. The mount namespace
// is this process's own: nobody else sees any of it, and it goes away with the process.
func enter(container spec.Container) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("a mount namespace of its own: %w", err)
	}
	r := root{path: container.Root}
	if err := r.replaceFolder("/"); err != nil {
		return fmt.Errorf("the root: %w", err)
	}
	mounts := ordered(container)
	if container.ReadOnlyRoot {
		if err := r.makeReadOnly(mounts); err != nil {
			return fmt.Errorf("a read-only root: %w", err)
		}
	}
	for _, mount := range mounts {
		if err := r.mount(mount); err != nil {
			return fmt.Errorf("mounting %s: %w", mount.Target, err)
		}
	}
	if err := unix.Chroot(r.path); err != nil {
		return err
	}
	return os.Chdir("/")
}

// ordered are the mounts, outer ones first, and the image's folders that they would hide.
func ordered(container spec.Container) []spec.Mount {
	mounts := slices.Clone(container.Mounts)
	for _, folder := range container.Keep {
		if isBelowOne(folder, container.Mounts) {
			mounts = append(mounts, spec.Mount{Source: folder, Target: folder, ReadOnly: container.ReadOnlyRoot})
		}
	}
	slices.SortStableFunc(mounts, func(a, b spec.Mount) int { return len(a.Target) - len(b.Target) })
	return mounts
}

func isBelowOne(path string, mounts []spec.Mount) bool {
	return slices.ContainsFunc(mounts, func(mount spec.Mount) bool { return isBelow(path, mount.Target) })
}

func isBelow(path, folder string) bool {
	return strings.HasPrefix(path, strings.TrimSuffix(folder, "/")+"/")
}

// makeReadOnly makes the root read-only, with a place for each mount: later none can be made.
func (r *root) makeReadOnly(mounts []spec.Mount) error {
	for _, mount := range mounts {
		if !isBelowOne(mount.Target, mounts) {
			if _, err := r.place(mount); err != nil {
				return err
			}
		}
	}
	return setReadOnly(r.path)
}

func (r *root) mount(mount spec.Mount) error {
	place, err := r.place(mount)
	if err != nil {
		return err
	}
	if err := bind(mount.Source, place); err != nil {
		return err
	}
	if mount.ReadOnly {
		return setReadOnly(place)
	}
	r.volumes = append(r.volumes, place)
	return nil
}

// place is the path to mount at. What is missing is made, never on the machine itself.
func (r *root) place(mount spec.Mount) (string, error) {
	place, err := securejoin.SecureJoin(r.path, mount.Target)
	if err != nil || exists(place) {
		return place, err
	}
	folder := filepath.Dir(place)
	for !exists(folder) {
		folder = filepath.Dir(folder)
	}
	if !r.isOurs(folder) {
		if err := r.replaceFolder(strings.TrimPrefix(folder, r.path)); err != nil {
			return "", err
		}
	}
	source, err := os.Stat(mount.Source)
	if err != nil {
		return "", err
	}
	if source.IsDir() {
		return place, os.MkdirAll(place, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
		return "", err
	}
	return place, os.WriteFile(place, nil, 0o644)
}

// isOurs says whether a folder is in memory or in a volume.
func (r *root) isOurs(folder string) bool {
	return slices.Contains(r.memory, device(folder)) || slices.ContainsFunc(r.volumes, func(volume string) bool {
		return folder == volume || isBelow(folder, volume)
	})
}

// replaceFolder replaces a folder of the root by one in memory with the entries of the machine's folder.
func (r *root) replaceFolder(folder string) error {
	original, err := os.Stat(folder)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	place := filepath.Join(r.path, folder)
	if err := unix.Mount("tmpfs", place, "tmpfs", 0, fmt.Sprintf("mode=%o", original.Mode().Perm())); err != nil {
		return err
	}
	// The copy of a folder above the root holds no copy of the root.
	if err := unix.Mount("", place, "", unix.MS_UNBINDABLE, ""); err != nil {
		return err
	}
	r.memory = append(r.memory, device(place))
	for _, entry := range entries {
		err := show(filepath.Join(folder, entry.Name()), filepath.Join(place, entry.Name()), entry)
		if err != nil && !os.IsNotExist(err) { // a file that has just been deleted
			return err
		}
	}
	return nil
}

// show makes an entry of the machine appear at place.
func show(original, place string, entry os.DirEntry) error {
	switch {
	case original == "/proc": // the container's own, with its processes only
		if err := os.Mkdir(place, 0o555); err != nil {
			return err
		}
		return unix.Mount("proc", place, "proc", 0, "")
	case entry.Type()&os.ModeSymlink != 0:
		target, err := os.Readlink(original)
		if err != nil {
			return err
		}
		return os.Symlink(target, place)
	case entry.IsDir():
		if err := os.Mkdir(place, 0o755); err != nil {
			return err
		}
	default:
		if err := os.WriteFile(place, nil, 0o644); err != nil {
			return err
		}
	}
	return bind(original, place)
}

func device(path string) uint64 {
	var status unix.Stat_t
	if err := unix.Lstat(path, &status); err != nil {
		return 0
	}
	return status.Dev
}

func bind(source, place string) error {
	return unix.Mount(source, place, "", unix.MS_BIND|unix.MS_REC, "")
}

func setReadOnly(place string) error {
	readOnly := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	return unix.MountSetattr(unix.AT_FDCWD, place, unix.AT_RECURSIVE, &readOnly)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
