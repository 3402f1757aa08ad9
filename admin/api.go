package admin

import (
	_ "embed"
	"net/http"
	"slices"
	"strings"
)

// openAPI is the OpenAPI 3.1 document of everything under /api/v1.
//
//go:embed openapi.yaml
var openAPI []byte

// methods are the handlers of a path by method. GET answers HEAD too.
type methods map[string]http.HandlerFunc

// routes are the paths of the API.
func (h *handler) routes() map[string]methods {
	routes := map[string]methods{
		"/api/v1/openapi.yaml": {"GET": showOpenAPI},
		"/api/v1/server":       {"GET": h.showServer},
		"/api/v1/config":       {"GET": h.showConfiguration},
		"/api/v1/events":       {"GET": h.showEvents},

		"/api/v1/streams":              {"GET": h.listStreams},
		"/api/v1/streams/{app}/{name}": {"GET": h.showStream, "DELETE": h.endStream},

		"/api/v1/publications":                           {"GET": h.listPublications},
		"/api/v1/publications/{app}/{name}/{generation}": {"GET": h.showPublication, "DELETE": h.endPublication},

		"/api/v1/viewers":      {"GET": h.listViewers},
		"/api/v1/viewers/{id}": {"DELETE": h.endViewer},

		"/api/": {"GET": noSuchPath, "DELETE": noSuchPath},
	}
	if h.config.Access != nil {
		routes["/api/v1/sessions"] = methods{"GET": h.sessions}
		routes["/api/v1/sessions/{id}"] = methods{"DELETE": h.endSession}
		routes["/api/v1/denylist"] = methods{"GET": h.denylist, "POST": h.deny}
		routes["/api/v1/denylist/{id}"] = methods{"DELETE": h.allow}
	}
	return routes
}

// dispatch calls the handler of the request's method, or says which there are.
func (m methods) dispatch(w http.ResponseWriter, r *http.Request) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if serve := m[method]; serve != nil {
		serve(w, r)
		return
	}
	var allowed []string
	for name := range m {
		allowed = append(allowed, name)
		if name == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
		}
	}
	slices.Sort(allowed)
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	problem(w, http.StatusMethodNotAllowed, "method-not-allowed", "the path does not know this method")
}

func noSuchPath(w http.ResponseWriter, _ *http.Request) {
	problem(w, http.StatusNotFound, "not-found", "no such path: /api/v1/openapi.yaml has all")
}

func showOpenAPI(w http.ResponseWriter, r *http.Request) {
	serveBytes(w, r, "application/yaml", openAPI)
}
