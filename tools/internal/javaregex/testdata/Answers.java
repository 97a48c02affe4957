import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/** Reads names, and then a pattern a line, and writes to each which names it matches, or what is wrong with it. */
public class Answers {
    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        String names = in.readLine();
        out.println(names);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            StringBuilder answer = new StringBuilder();
            try {
                Pattern pattern = Pattern.compile(line);
                for (String name : names.split(" ")) {
                    if (pattern.matcher(name).matches()) {
                        answer.append(answer.length() > 0 ? " " : "").append(name);
                    }
                }
            } catch (PatternSyntaxException e) {
                answer.append("! ").append(e.getMessage().replace("\n", "\\n"));
            }
            out.println(line + "\t" + answer);
        }
    }
}
