package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/headwater-live/headwater/cmd/headwater/config"
)

const composeFolder = "../../docs/examples/compose"

// composeFile is what our compose file uses of the Compose Specification, and nothing else.
type composeFile struct {
	Services map[string]composeService
	Configs  map[string]struct{ Content string }
	Volumes  map[string]any
}

type composeService struct {
	Image           string
	Build           struct{ Context, Dockerfile string }
	Restart         string
	Environment     map[string]string
	StopGracePeriod string `yaml:"stop_grace_period"`
	Ports           []string
	Volumes         []string
	Configs         []struct{ Source, Target string }
	NetworkMode     string                                `yaml:"network_mode"`
	DependsOn       map[string]struct{ Condition string } `yaml:"depends_on"`
	ReadOnly        bool                                  `yaml:"read_only"`
	CapDrop         []string                              `yaml:"cap_drop"`
	SecurityOpt     []string                              `yaml:"security_opt"`
	Ulimits         struct{ Nofile int }
}

// composeVariable is ${NAME} or ${NAME:?what is missing}.
var composeVariable = regexp.MustCompile(`\$\{([A-Z_]+)(:\?[^}]*)?\}`)

func readCompose(t *testing.T) composeFile {
	t.Helper()
	text, err := os.ReadFile(composeFolder + "/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text = composeVariable.ReplaceAll(text, []byte("sixteen-characters-of-$1"))
	var c composeFile
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

// root puts the files that a service gets where it finds them, below a folder.
func (c composeFile) root(t *testing.T, service string) string {
	t.Helper()
	root := t.TempDir()
	put := func(target string, text []byte) {
		if err := os.MkdirAll(filepath.Dir(root+target), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(root+target, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, volume := range c.Services[service].Volumes {
		source, target, _ := strings.Cut(volume, ":")
		if !strings.HasPrefix(source, ".") {
			if _, ok := c.Volumes[source]; !ok {
				t.Errorf("%s mounts %s, which is no volume", service, source)
			}
			continue
		}
		text, err := os.ReadFile(filepath.Join(composeFolder, source))
		if err != nil {
			t.Errorf("%s mounts %v", service, err)
			continue
		}
		put(strings.TrimSuffix(target, ":ro"), text)
	}
	for _, one := range c.Services[service].Configs {
		if c.Configs[one.Source].Content == "" {
			t.Errorf("%s wants config %s, which is empty", service, one.Source)
		}
		put(one.Target, []byte(c.Configs[one.Source].Content))
	}
	return root
}

// TestTheComposeFileFitsWhatItStarts checks what Docker would find out: files, ports, and the settings of the server.
func TestTheComposeFileFitsWhatItStarts(t *testing.T) {
	c := readCompose(t)
	origin := c.Services["headwater"]
	dockerfile := filepath.Join(composeFolder, origin.Build.Context, origin.Build.Dockerfile)
	text, err := os.ReadFile(dockerfile)
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range origin.Environment {
		t.Setenv(key, value)
	}
	t.Setenv("HEADWATER_STORAGE_DIR", "/data") // as the Dockerfile has it
	if !strings.Contains(string(text), "HEADWATER_STORAGE_DIR=/data") || !slices.Contains(origin.Volumes, "data:/data") {
		t.Error("what is stored does not go into the volume")
	}
	cfg, err := config.Load(config.Sources{File: os.DevNull})
	if err != nil {
		t.Fatalf("the server would not start: %v", err)
	}
	listening := []string{cfg.RTMP.Addr, cfg.HTTP.Addr, cfg.Admin.Addr, ":9090"}
	nginx, err := os.ReadFile(composeFolder + "/../nginx/headwater.conf")
	if err != nil {
		t.Fatal(err)
	}
	for _, listen := range regexp.MustCompile(`(?m)^\s*listen (\d+);`).FindAllStringSubmatch(string(nginx), -1) {
		listening = append(listening, ":"+listen[1])
	}
	for _, published := range origin.Ports {
		port := published[strings.LastIndexByte(published, ':'):]
		if !slices.ContainsFunc(listening, func(addr string) bool { _, p, _ := net.SplitHostPort(addr); return ":"+p == port }) {
			t.Errorf("nothing listens on the published port %s", published)
		}
		if (port == ":8081" || port == ":9090") && !strings.HasPrefix(published, "127.0.0.1:") {
			t.Errorf("a private port is published to everybody: %s", published)
		}
	}
	for name, service := range c.Services {
		if name != "headwater" && service.NetworkMode != "service:headwater" {
			t.Errorf("%s is in another network, where 127.0.0.1 is not the origin", name)
		}
	}
}

func TestNginxAndPrometheusTakeWhatTheComposeFileMounts(t *testing.T) {
	c := readCompose(t)
	prometheus := c.root(t, "prometheus") + "/etc/prometheus"
	file := prometheus + "/prometheus.yml"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.ReplaceAll(text, []byte("/etc/prometheus"), []byte(prometheus))
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	promtool(t, nil, "check", "config", file)

	root := c.root(t, "nginx")
	file = root + "/etc/nginx/conf.d/default.conf"
	if text, err = os.ReadFile(file); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{"/var/cache/nginx": root + "/cache", "listen 80;": "listen unix:nginx.sock;"} {
		if !bytes.Contains(text, []byte(from)) {
			t.Errorf("nginx's configuration has no %q", from)
		}
		text = bytes.ReplaceAll(text, []byte(from), []byte(to))
	}
	main := "error_log stderr;\npid " + root + "/pid;\nevents {}\nhttp {\naccess_log off;\n"
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		main += kind + "_temp_path " + root + "/" + kind + ";\n"
	}
	whole := root + "/nginx.conf"
	if err := os.Mkdir(root+"/cache", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(whole, append([]byte(main), append(text, '}')...), 0o644); err != nil {
		t.Fatal(err)
	}
	nginx := exec.CommandContext(t.Context(), "nginx", "-t", "-q", "-c", whole)
	if nginx.Err != nil { // daemons live where not everybody looks
		nginx = exec.CommandContext(t.Context(), "/usr/sbin/nginx", "-t", "-q", "-c", whole)
	}
	nginx.Dir = root // where the socket is
	if out, err := nginx.CombinedOutput(); err != nil {
		t.Errorf("nginx -t (apt-get install nginx): %v\n%s", err, out)
	}
}
