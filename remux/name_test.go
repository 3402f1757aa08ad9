package remux

import "testing"

func TestNamesThatMayBeSecretsAreRedacted(t *testing.T) {
	for name, want := range map[StreamName]string{
		"live/test": "live/test", "live/camera1": "live/camera1", "live/sk_8d2f9c11": "live/sk…", "sk_8d2f9c11/x": "sk…/x",
	} {
		if got := name.Redacted(); got != want {
			t.Errorf("%s is shown as %q, want %q", name, got, want)
		}
	}
}

func TestNoApplicationIsCalledAsTokensAreAnnounced(t *testing.T) {
	if _, err := ParseStreamName("t", "live"); err != ErrReservedApp {
		t.Errorf("error %v", err)
	}
	for _, app := range []string{"tt", "T", "live"} {
		if _, err := ParseStreamName(app, "t"); err != nil {
			t.Errorf("%s: %v", app, err)
		}
	}
}
