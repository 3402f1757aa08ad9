package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/headwater-live/headwater/cmd/headwater/config"
)

// manifest is what the test looks at of an object of Kubernetes.
type manifest struct {
	Kind     string
	Metadata struct{ Name string }
	Spec     struct {
		ServiceName string `yaml:"serviceName"`
		Selector    yaml.Node
		Template    struct{ Spec podSpec }
		Ports       []struct {
			Name       string
			Port       int
			TargetPort string `yaml:"targetPort"`
		}
		VolumeClaimTemplates []struct{ Metadata struct{ Name string } } `yaml:"volumeClaimTemplates"`
	}
}

type podSpec struct {
	TerminationGracePeriodSeconds int `yaml:"terminationGracePeriodSeconds"`
	Containers                    []struct {
		Args []string
		Env  []struct {
			Name, Value string
			ValueFrom   struct {
				SecretKeyRef struct{ Name, Key string } `yaml:"secretKeyRef"`
			} `yaml:"valueFrom"`
		}
		Ports []struct {
			Name          string
			ContainerPort int `yaml:"containerPort"`
		}
		StartupProbe   probe `yaml:"startupProbe"`
		ReadinessProbe probe `yaml:"readinessProbe"`
		LivenessProbe  probe `yaml:"livenessProbe"`
		VolumeMounts   []struct {
			Name      string
			MountPath string `yaml:"mountPath"`
		} `yaml:"volumeMounts"`
	}
}

type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

// TestTheKubernetesManifestFitsWhatItStarts reads the settings as the server would, and compares ports, probes and times.
func TestTheKubernetesManifestFitsWhatItStarts(t *testing.T) {
	text, err := os.ReadFile("../../packaging/kubernetes/headwater.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var set manifest
	var services []manifest
	for decoder := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var one manifest
		if err := decoder.Decode(&one); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		switch one.Kind {
		case "StatefulSet":
			set = one
		case "Service":
			services = append(services, one)
		default:
			t.Errorf("what is a %s for?", one.Kind)
		}
	}
	if len(set.Spec.Template.Spec.Containers) != 1 {
		t.Fatal("there is no StatefulSet with one container")
	}
	container := set.Spec.Template.Spec.Containers[0]
	for _, env := range container.Env {
		value := env.Value
		if env.ValueFrom.SecretKeyRef.Name != "" {
			value = "a secret of some length"
		}
		t.Setenv(env.Name, value)
	}
	cfg, err := config.Load(config.Sources{File: os.DevNull})
	if err != nil {
		t.Fatalf("the server would not start: %v", err)
	}
	if grace := time.Duration(set.Spec.Template.Spec.TerminationGracePeriodSeconds) * time.Second; grace <= cfg.Drain.Timeout {
		t.Errorf("it is killed after %v, and drains for %v", grace, cfg.Drain.Timeout)
	}
	ports := map[string]string{}
	for name, addr := range map[string]string{"rtmp": cfg.RTMP.Addr, "http": cfg.HTTP.Addr, "admin": cfg.Admin.Addr} {
		_, ports[name], _ = net.SplitHostPort(addr)
	}
	for _, p := range container.Ports {
		if ports[p.Name] != strconv.Itoa(p.ContainerPort) {
			t.Errorf("port %s is %d, the server listens on %q", p.Name, p.ContainerPort, ports[p.Name])
		}
	}
	headless := slices.ContainsFunc(services, func(s manifest) bool { return s.Metadata.Name == set.Spec.ServiceName })
	for _, service := range services {
		for _, p := range service.Spec.Ports {
			if ports[p.TargetPort] == "" {
				t.Errorf("service %s leads to port %q", service.Metadata.Name, p.TargetPort)
			}
		}
	}
	if !headless || len(set.Spec.VolumeClaimTemplates) != 1 || container.VolumeMounts[0].Name != set.Spec.VolumeClaimTemplates[0].Metadata.Name ||
		container.VolumeMounts[0].MountPath != "/data" {
		t.Errorf("service %q, volumes %+v, mounts %+v", set.Spec.ServiceName, set.Spec.VolumeClaimTemplates, container.VolumeMounts)
	}

	// The kubelet shows no token.
	s := runServer(t, func(c *config.Config) { c.Admin.Token = "sesame" })
	for _, p := range []probe{container.StartupProbe, container.ReadinessProbe, container.LivenessProbe} {
		resp, err := http.Get(s.adminURL(p.HTTPGet.Path))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || p.HTTPGet.Port != "admin" {
			t.Errorf("the probe of %s on %s is answered with %d", p.HTTPGet.Path, p.HTTPGet.Port, resp.StatusCode)
		}
	}
}
