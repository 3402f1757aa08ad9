package e2e

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"
)

// lintDockerfile has the parser of Docker's language server say what is wrong with a Dockerfile.
func lintDockerfile(ctx context.Context, t *testing.T, text string) (faults []string) {
	t.Helper()
	if err := installBrowserPackages(); err != nil {
		t.Fatal(err)
	}
	cmd := command(ctx, t, "node", "dockerfile.mjs")
	cmd.Dir, cmd.Stdin = browserDir, strings.NewReader(text)
	o := run(cmd)
	if err := o.clean(); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(o.stdout), &faults); err != nil {
		t.Fatalf("%v: %s", err, o.stdout)
	}
	return faults
}

// TestTheDockerfileIsSound lints it, and looks at what no linter knows: that the container has a user without rights
// and nothing but the binary. TestTheStaticBinaryRunsAloneInAChroot runs what is in it.
func TestTheDockerfileIsSound(t *testing.T) {
	t.Parallel()
	ctx := limit(t, 2*time.Minute)
	text := readFile(t, "../packaging/Dockerfile")
	for _, fault := range lintDockerfile(ctx, t, text) {
		t.Errorf("packaging/Dockerfile: %s", fault)
	}
	if faults := lintDockerfile(ctx, t, text+"EXPOSE nothing\nCOPY one\nFORM scratch\n"); len(faults) < 3 {
		t.Errorf("of three faults the linter finds %q", faults)
	}
	stages := strings.Split(text, "\nFROM ")
	last := stages[len(stages)-1]
	if !strings.HasPrefix(last, "scratch\n") {
		t.Errorf("the last stage begins from %.20q", last)
	}
	for _, want := range []string{`(?m)^USER 65532:65532$`, `(?m)^ENTRYPOINT \["/headwater"\]$`, `(?m)^HEALTHCHECK .*CMD \["/headwater", "health"\]$`, `(?m)^EXPOSE 1935 8080$`} {
		if !regexp.MustCompile(want).MatchString(last) {
			t.Errorf("the last stage has nothing that fits %s", want)
		}
	}
	if strings.Contains(last, "\nRUN ") {
		t.Error("the last stage runs something: there is nothing that could")
	}
}
