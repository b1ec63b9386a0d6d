import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ProxySelector;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.concurrent.Executors;
import java.util.stream.Collectors;

/** A service that calls the next one through the mesh: `Hop PORT [NEXT]`, with HTTP_PROXY naming the mesh port. */
final class Hop {
    private static HttpClient client;
    private static String next;

    public static void main(String[] args) throws IOException {
        var mesh = URI.create(System.getenv("HTTP_PROXY"));
        client = HttpClient.newBuilder().proxy(ProxySelector.of(new InetSocketAddress(mesh.getHost(), mesh.getPort()))).build();
        next = args.length > 1 ? args[1] : null;
        var server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0])), 0);
        server.setExecutor(Executors.newCachedThreadPool());
        server.createContext("/", Hop::serve).getFilters().add(new Forward());
        server.start();
    }

    private static void serve(HttpExchange exchange) throws IOException {
        try {
            var here = HttpRequest.newBuilder(URI.create("http://" + (next == null ? "nowhere" : next) + "/hop"));
            var left = Forward.remaining();
            var request = Forward.on(here).build();
            var sent = request.headers().map().entrySet().stream()
                .map(header -> "\"" + header.getKey() + "\":\"" + header.getValue().get(0) + "\"").collect(Collectors.joining(","));
            var seen = "{\"service\":\"java\",\"remaining_ms\":" + (left == null ? 0 : left.toNanos() / 1e6) + ",\"sent\":{" + sent + "}}";
            if (next == null) {
                answer(exchange, 200, "[" + seen + "]");
                return;
            }
            var answer = client.send(request, BodyHandlers.ofString());
            if (answer.statusCode() == 200) answer(exchange, 200, "[" + seen + "," + answer.body().substring(1));
            else answer(exchange, 502, next + ": " + answer.statusCode() + "\n");
        } catch (Forward.DeadlineExceeded late) {
            answer(exchange, 504, "the caller waits no longer\n");
        } catch (IOException | InterruptedException error) {
            answer(exchange, 502, error + "\n");
        }
    }

    private static void answer(HttpExchange exchange, int status, String text) throws IOException {
        var body = text.getBytes();
        exchange.sendResponseHeaders(status, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }
}
