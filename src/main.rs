//! The binary.

use clap::Parser;
use destination_chartmogul::commands::sandbox;

#[derive(Debug, Parser)]
#[command(name = "destination-chartmogul")]
enum Command {
    /// Start a local ChartMogul look-alike
    Sandbox(sandbox::SandboxArgs),
}

fn main() -> anyhow::Result<()> {
    let Command::Sandbox(args) = Command::parse();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(sandbox::run(args))
}
