package e2e

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// packageBuilder builds the program that makes Debian packages, in the version that the Makefile names.
func packageBuilder(ctx context.Context, t *testing.T) string {
	t.Helper()
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^NFPM_VERSION := (v\S+)$`).FindSubmatch(makefile)
	if version == nil {
		t.Fatal("the Makefile names no NFPM_VERSION")
	}
	target := ".bin/nfpm-" + string(version[1])
	cmd := command(ctx, t, "make", "-s", target)
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make %s: %v\n%s", target, err, out)
	}
	path, err := filepath.Abs("../" + target)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// release copies the sources to a folder, whose files nobody but their owner may read if private, and builds
// there what is released for this machine's architecture.
func release(ctx context.Context, t *testing.T, nfpm, folder string, private bool) (dist string) {
	t.Helper()
	skip := map[string]bool{".git": true, ".bin": true, "bin": true, "dist": true, "node_modules": true, "headwater-data": true}
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel("..", path)
		if err != nil {
			return err
		}
		to, mode := filepath.Join(folder, rel), os.FileMode(0o755)
		if private {
			mode = 0o700
		}
		if entry.IsDir() {
			if skip[entry.Name()] {
				return filepath.SkipDir
			}
			return os.MkdirAll(to, mode)
		}
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, text, info.Mode()&mode)
	})
	if err != nil {
		t.Fatalf("copy the sources: %v", err)
	}
	cmd := command(ctx, t, "bash", "scripts/dist.sh")
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "NFPM="+nfpm, "TARGETS=linux/"+runtime.GOARCH, "VERSION=v1.2.3", "SOURCE_DATE_EPOCH=1700000000")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("scripts/dist.sh: %v\n%s", err, out)
	}
	return filepath.Join(folder, "dist")
}

// TestWhatIsReleasedIsReproducibleAndInstalls builds a release in two folders that have little in common but the
// sources, and puts the Debian package into an empty root and out of it again.
func TestWhatIsReleasedIsReproducibleAndInstalls(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("dpkg changes the root for a package's scripts, so this test must run as root")
	}
	ctx := limit(t, 15*time.Minute)
	nfpm := packageBuilder(ctx, t)
	dist := release(ctx, t, nfpm, filepath.Join(t.TempDir(), "a"), false)
	other := release(ctx, t, nfpm, filepath.Join(t.TempDir(), "another place"), true)
	sums, again := readFile(t, dist+"/SHA256SUMS"), readFile(t, other+"/SHA256SUMS")
	if lines := strings.Count(sums, "\n"); lines != 2 || sums != again {
		t.Errorf("%d checksums, and from another folder others:\n%s%s", lines, sums, again)
	}
	check := command(ctx, t, "sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS")
	check.Dir = other
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("sha256sum: %v\n%s", err, out)
	}
	root := emptyRoot(ctx, t)
	installAndPurge(ctx, t, root, dist+"/headwater_1.2.3_"+runtime.GOARCH+".deb")
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// emptyRoot makes a root for dpkg that has a shell for the scripts of packages, and else nothing.
func emptyRoot(ctx context.Context, t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	files := []string{"/bin/sh", "/bin/rm"}
	for _, program := range files {
		out, err := command(ctx, t, "ldd", program).Output()
		if err != nil {
			t.Fatalf("ldd %s: %v", program, err)
		}
		files = append(files, regexp.MustCompile(`/\S+`).FindAllString(string(out), -1)...)
	}
	for _, name := range files {
		text := readFile(t, name)
		if err := os.MkdirAll(filepath.Dir(root+name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(root+name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"info", "updates", "triggers"} {
		if err := os.MkdirAll(root+"/var/lib/dpkg/"+dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"status", "available"} {
		if err := os.WriteFile(root+"/var/lib/dpkg/"+name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// installAndPurge installs a package into a root, looks at what it brought, and removes it.
func installAndPurge(ctx context.Context, t *testing.T, root, deb string) {
	t.Helper()
	dpkg := func(args ...string) {
		t.Helper()
		cmd := command(ctx, t, "dpkg", append([]string{"--root=" + root, "--log=/dev/null", "--force-unsafe-io"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("dpkg %s: %v\n%s", args[0], err, out)
		}
	}
	dpkg("--install", deb)
	program := root + "/usr/bin/headwater"
	out, err := exec.CommandContext(ctx, program, "version").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "1.2.3") {
		t.Errorf("headwater version: %v: %s", err, out)
	}
	if out, err := exec.CommandContext(ctx, program, "config", "check", "--config", root+"/etc/headwater/headwater.yaml").CombinedOutput(); err != nil {
		t.Errorf("the package's configuration: %v\n%s", err, out)
	}
	bash := exec.CommandContext(ctx, "bash", "-c", `source "$1" && complete -p headwater`, "bash", root+"/usr/share/bash-completion/completions/headwater")
	if out, err := bash.CombinedOutput(); err != nil {
		t.Errorf("completion of bash: %v\n%s", err, out)
	}
	for _, name := range []string{"headwater", "headwater-serve", "headwater-publish", "headwater-bench", "headwater-token", "headwater-config-check"} {
		page, err := exec.CommandContext(ctx, "gzip", "-dc", root+"/usr/share/man/man1/"+name+".1.gz").Output()
		if err != nil || !strings.Contains(string(page), `.TH "HEADWATER" "1"`) || !strings.Contains(string(page), ".SH NAME") {
			t.Errorf("manual page %s: %v: %.200s", name, err, page)
		}
	}
	for _, name := range []string{
		"/etc/logrotate.d/headwater", "/usr/lib/systemd/system/headwater.service", "/usr/share/doc/headwater/copyright", "/usr/share/doc/headwater/diagnosis.md",
		"/usr/share/zsh/vendor-completions/_headwater", "/usr/share/fish/vendor_completions.d/headwater.fish",
	} {
		if info, err := os.Stat(root + name); err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	// Removal keeps the configuration and what was recorded, purging neither.
	state := root + "/var/lib/headwater/live"
	if err := os.MkdirAll(state, 0o755); err != nil {
		t.Fatal(err)
	}
	dpkg("--remove", "headwater")
	for name, stays := range map[string]bool{program: false, state: true, root + "/etc/headwater/headwater.yaml": true} {
		if _, err := os.Stat(name); (err == nil) != stays {
			t.Errorf("after the removal: %s: %v", name, err)
		}
	}
	dpkg("--purge", "headwater")
	for _, name := range []string{state, root + "/etc/headwater", root + "/usr/share/doc/headwater"} {
		if _, err := os.Stat(name); err == nil {
			t.Errorf("after the purge there is %s", name)
		}
	}
}
